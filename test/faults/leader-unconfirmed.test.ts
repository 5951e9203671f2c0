/** A leader whose commits the synchronous standby does not have, and what a failover then makes of them. */
import { afterEach, expect, it } from 'vitest';
import { confirmed } from '../../src/db/confirmed.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';
import { startPair } from './support/pair.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const UNCONFIRMED = 'muster_database_unconfirmed_commits_total';

/** Reports of that host in the log. */
async function reportsOf({ pool }: Replica, hostname: string): Promise<number> {
  const rows = await pool.run(
    (sql) =>
      sql`SELECT FROM event_log WHERE kind = 'host_report' AND payload->>'closure' IS NOT NULL AND hostname = ${hostname}`,
  );
  return rows.length;
}

it('goes on and says so; what it told of is decided again by the next leader, once', async () => {
  const { primary, standby, replica, hold, leave } = await startPair(undo);
  const { submitter } = replica;
  const sent = submitter.submit(heartbeat('h1'), { waitMs: 20_000 });
  await eventually(() => primary.sql`SELECT FROM input_queue`).toHaveLength(1);
  // Its insert is confirmed by what is confirmed after it.
  expect(await submitter.submit(heartbeat('h2'), { waitMs: 0 })).toEqual({ status: 'queued' });
  hold();
  const { epoch } = await replica.lead();
  expect(await sent).toMatchObject({ status: 'judged' });
  expect(replica.leader.term).toMatchObject({ epoch });
  await eventually(() => replica.log.join('\n')).toMatch(
    /the synchronous standby did not confirm a commit.*"firstSeq"/,
  );
  expect(await replica.metrics.expose()).toMatch(new RegExp(`${UNCONFIRMED}{by="leader"} [1-9]`));
  // What is stored now is no promise.
  expect(await submitter.submit(heartbeat('h3'), { waitMs: 0 })).toMatchObject({
    why: 'database-away',
  });
  const offer = confirmed(replica.pool, (sql) => sql`CREATE TABLE offer ()`);
  await expect(offer).rejects.toThrow('synchronous standby');

  await leave();
  await primary.kill9();
  await standby.promote();
  const next = startReplica(standby.server.url, 'b');
  undo.push(() => next.stop());
  expect(await reportsOf(next, 'h1')).toBe(0);
  await next.lead();
  await eventually(async () => [await reportsOf(next, 'h1'), await reportsOf(next, 'h2')]).toEqual([
    1, 1,
  ]);
  expect(await reportsOf(next, 'h3')).toBe(0);
});
