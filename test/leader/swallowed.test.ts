/** A trigger of somebody else's takes rows of a commit and does not store them: nothing of that commit happened. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { audit } from '../../src/eventlog/audit.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';

let replica: Replica;
beforeEach(async () => {
  const { url } = await createTestDatabase();
  replica = startReplica(url, 'a');
  await replica.pool.run(
    (sql) => sql`CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RETURN NULL; END $$`,
  );
  await replica.lead();
});
afterEach(() => replica.stop());

const alter = (text: string) => replica.pool.run((sql) => sql.unsafe(text));
const queued = async () => (await replica.pool.run((sql) => sql`SELECT FROM input_queue`)).length;
const epoch = async () => {
  const [row] = await replica.pool.run((sql) => sql<{ epoch: number }[]>`SELECT epoch FROM epoch`);
  return row?.epoch ?? 0;
};

it.each([
  ['event_log', "WHEN (new.hostname = 'h1')"],
  ['host', "WHEN (new.hostname = 'h1')"],
  ['commit_verdicts', ''],
  ['leader_progress', ''],
])('of %s: the input is not acknowledged, and is when the trigger is gone', async (table, when) => {
  await alter(`CREATE TRIGGER swallow BEFORE INSERT ON ${table} FOR EACH ROW ${when}
    EXECUTE FUNCTION swallow()`);
  const before = await epoch();
  const told = replica.submitter.submit(heartbeat('h1'), { waitMs: 500 });
  expect(await told).toEqual({ status: 'queued' });
  // Each term ends at it, and says why.
  await eventually(epoch).toBeGreaterThan(before);
  expect(await queued()).toBe(1);
  await alter(`DROP TRIGGER swallow ON ${table}`);
  await eventually(queued).toBe(0);
  const rows = await replica.pool.run(
    (sql) => sql`SELECT FROM event_log WHERE hostname = 'h1' AND kind = 'host_report'`,
  );
  expect(rows).toHaveLength(1);
  expect(await audit((read) => replica.pool.run(read))).toMatchObject({
    brokenAt: null,
    unequal: [],
  });
});
