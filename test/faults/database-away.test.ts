/**
 * The database server is killed under load and comes back: callers get "unavailable" meanwhile, nothing that
 * was accepted is lost or applied twice, and everything recovers by itself.
 */
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../src/cli/dev/embedded-postgres.ts';
import { migrate } from '../../src/db/migrate.ts';
import { audit } from '../../src/eventlog/audit.ts';
import type { SubmitResult } from '../../src/queue/submitter.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica } from '../support/installation.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { declareFleet, heartbeat, journey } from '../support/small-fleet.ts';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

test('the database is killed and returns', async () => {
  const dataDir = path.join(makeScratchDir('database-away'), 'postgres');
  const first = await startEmbeddedPostgres({ dataDir });
  await migrate({ url: first.url, schema: 'muster', name: 'test' });
  const a = startReplica(first.url, 'a');
  undo.push(() => a.stop());
  await a.lead();
  const fleet = await declareFleet(a.pool, 30, 'abc4');
  const waits = { waitMs: 10_000 };
  await a.submitter.submit(fleet.input, waits);
  await Promise.all(fleet.hosts.map((host) => a.submitter.submit(heartbeat(host), waits)));

  let refused = 0;
  const travelling = Promise.all(
    fleet.hosts.map(async (host) => {
      for (const input of journey(fleet, host)) {
        let result: SubmitResult = await a.submitter.submit(input, waits);
        while (result.status !== 'judged') {
          if (result.status === 'unavailable') refused += 1;
          result = await a.submitter.submit(input, waits);
        }
        expect(result.verdict.status).toMatch(/^(applied|duplicate)$/);
      }
    }),
  );
  await first.kill9();
  await eventually(() => refused).toBeGreaterThan(30);
  const again = await startEmbeddedPostgres({ dataDir, port: first.port, ephemeral: true });
  undo.push(() => again.stop());
  await travelling;

  await eventually(() => a.submitter.obstacle()).toBeNull();
  const [row] = await a.pool.run(
    (sql) => sql<{ done: number; events: number }[]>`SELECT
      (SELECT count(*)::int FROM host_rollout WHERE state = 'Converged') AS done,
      (SELECT count(*)::int FROM event_log WHERE kind = 'agent_event') AS events`,
  );
  expect(row).toEqual({ done: 30, events: 120 });
  const report = await audit((read) => a.pool.run(read));
  expect(report).toMatchObject({ gapless: true, brokenAt: null, unequal: [] });
});
