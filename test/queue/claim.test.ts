import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { STATEMENT_BYTES } from '../../src/db/slow-link.ts';
import { claimInputs } from '../../src/queue/claim.ts';
import { openBeside } from '../../src/leader/beside.ts';
import { createTestDatabase } from '../support/database.ts';
import { slowLink } from '../support/slow-link.ts';

const PAYLOAD = 250_000;

let pool: Pool;
let url: string;
beforeEach(async () => {
  ({ url } = await createTestDatabase());
  const database = { url, schema: 'muster', name: 'claim' };
  // One connection: what is prepared on it is explained on it.
  pool = createPool(database, { role: 'test', max: 1, statementMs: 10_000 });
});
afterEach(() => pool.end());

it('claims no more bytes than it can read at once, at least one row, and all of them in turn', async () => {
  await pool.run(
    (sql) => sql`INSERT INTO input_queue (kind, payload)
        SELECT 'Tick', json_build_object('pad', repeat('x', ${PAYLOAD}::int)) FROM generate_series(1, 50)`,
  );
  await pool.run(
    (sql) => sql`INSERT INTO input_queue (kind, payload)
        VALUES ('Tick', json_build_object('pad', repeat('x', ${2 * STATEMENT_BYTES}::int)))`,
  );
  await pool.run(
    (sql) => sql`INSERT INTO input_queue (kind, payload)
        SELECT 'Tick', '{}' FROM generate_series(1, 300)`,
  );
  const taken: number[] = [];
  for (;;) {
    const claimed = await pool.run((sql) => claimInputs(sql, 1_000, taken));
    if (claimed.length === 0) break;
    const bytes = claimed.map(({ payload }) => payload.length);
    // All but the last, which is the one that goes beyond.
    expect(bytes.slice(0, -1).reduce((a, b) => a + b, 0)).toBeLessThan(STATEMENT_BYTES);
    taken.push(...claimed.map(({ id }) => id));
  }
  expect(taken).toHaveLength(351);
  expect(taken).toEqual(taken.toSorted((a, b) => a - b));
});

it('ends in time over a link of 2.5 Mbit/s, however large the inputs are', async () => {
  await pool.run(
    (sql) => sql`INSERT INTO input_queue (kind, payload)
        SELECT 'Tick', json_build_object('pad', repeat('x', ${PAYLOAD}::int)) FROM generate_series(1, 50)`,
  );
  const link = await slowLink(url, 2.5);
  const leader = openBeside({ url: link.url, schema: 'muster', name: 'slow' });
  try {
    expect(await leader.run((sql) => claimInputs(sql, 1_000, []))).not.toEqual([]);
  } finally {
    await leader.end();
    await link.end();
  }
});

it('looks each row up among those in flight, whatever plan the server keeps', async () => {
  await pool.run((sql) => sql.unsafe('SET plan_cache_mode = force_generic_plan'));
  await pool.run((sql) => claimInputs(sql, 1_000, [1, 2, 3]));
  const [statement] = await pool.run(
    (sql) => sql<{ name: string }[]>`SELECT name FROM pg_prepared_statements
      WHERE statement LIKE '%FROM input_queue%' AND statement NOT LIKE '%pg_prepared%'`,
  );
  const plan = await pool.run((sql) =>
    sql.unsafe<{ 'QUERY PLAN': string }[]>(
      `EXPLAIN EXECUTE "${statement?.name ?? ''}" (${'4000000, 1000, '.repeat(2)}4000000, 4000000, '{1,2,3}', 1000, 4000000)`,
    ),
  );
  expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain('hashed SubPlan');
});
