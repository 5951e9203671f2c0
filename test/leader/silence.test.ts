/** Since when somebody listens, which decides what silence says: the leader's term, as the database has it. */
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica } from '../support/installation.ts';
import { declareFleet, heartbeat } from '../support/small-fleet.ts';

it('is told to the reducer with what else is looked up, and logged', async () => {
  const { url } = await createTestDatabase();
  const a = startReplica(url, 'a');
  try {
    await a.lead();
    const fleet = await declareFleet(a.pool, 3, 'abc1');
    await a.submitter.submit(fleet.input, { waitMs: 10_000 });
    for (const host of fleet.hosts) await a.submitter.submit(heartbeat(host), { waitMs: 10_000 });
    await a.resign();
    await a.lead();
    const [term] = await a.pool.run((sql) => sql<{ since: string }[]>`SELECT since FROM epoch`);
    const [row] = await a.pool.run(
      (sql) => sql<{ observed: object }[]>`SELECT payload->'observed' AS observed FROM event_log
        WHERE kind = 'leadership' ORDER BY seq DESC LIMIT 1`,
    );
    expect(row?.observed).toMatchObject({ listeningSince: term?.since });
  } finally {
    await a.stop();
  }
});
