/** A leader that works around the ring beside a forgotten snapshot: the queue stays small, and nothing is lost. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica } from '../support/installation.ts';

const SLOT_IDS = 32_768;
/** Twice around, and a bit. */
const TURNS = 17;
/** Some 75 pages in each slot, half of them before its end is reached. */
const ROWS = 300;
/** Four slots of them: without the ring there would be seventeen. */
const MOST_PAGES = 300;

it('keeps the queue small beside a forgotten snapshot', async () => {
  const { url } = await createTestDatabase();
  const replica = startReplica(url, 'a');
  const connection = { search_path: 'muster' };
  const dba = postgres(url, { max: 1, connection, onnotice: () => undefined });
  const sizes = async (): Promise<number> => {
    const [row] = await replica.pool.run(
      (sql) => sql<{ pages: number }[]>`
        SELECT sum(pg_relation_size(relid))::bigint / 8192 AS pages
        FROM pg_partition_tree('input_queue') WHERE isleaf`,
    );
    return row?.pages ?? NaN;
  };
  try {
    await dba`BEGIN ISOLATION LEVEL REPEATABLE READ`;
    await dba`SELECT count(*) FROM epoch`;
    await replica.lead();
    for (let turn = 0; turn < TURNS; turn += 1) {
      await replica.pool.run(
        (sql) => sql`SELECT setval('input_queue_ids', ${(turn + 1) * SLOT_IDS - ROWS / 2})`,
      );
      await replica.pool.run(
        (sql) => sql`
          INSERT INTO input_queue (kind, payload, replica)
          SELECT 'Tick', ('{"kind":"Tick"' || repeat(' ', 1900) || '}')::json, 'nobody'
          FROM generate_series(1, ${ROWS}::int)`,
      );
      // What follows shows that the leader came by; whatever it could empty then, it does.
      await eventually(async () => {
        await replica.submitter.submit({ kind: 'Tick' }, { waitMs: 5_000 });
        return sizes();
      }).toBeLessThan(MOST_PAGES);
    }
    const [found] = await replica.pool.run(
      (sql) => sql<{ verdicts: number; dead: number; queued: number }[]>`
        SELECT (SELECT count(*)::int FROM verdict WHERE replica = 'nobody') AS verdicts,
          (SELECT count(*)::int FROM dead_input) AS dead, (SELECT count(*)::int FROM input_queue) AS queued`,
    );
    expect(found).toEqual({ verdicts: TURNS * ROWS, dead: 0, queued: 0 });
  } finally {
    await dba.end({ timeout: 0 });
    await replica.stop();
  }
}, 60_000);
