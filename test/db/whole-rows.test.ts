import { expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import { createPool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { createTestDatabase } from '../support/database.ts';

/** Fails at its third row, when two are on their way. */
const failing = (sql: Sql): Promise<unknown> =>
  sql`SELECT 1 / (3 - x) AS n FROM generate_series(1, 5) AS x`.execute();
const answer = (sql: Sql) => sql<{ n: number }[]>`SELECT 42 AS n`;
const pair = (sql: Sql) => sql<{ n: number }[]>`SELECT n FROM generate_series(1, 2) AS n`;

it('gives whole answers after a statement that failed in the middle of its own', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'whole-rows' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const session = await openSession(database, { role: 'test', settings: {}, deadlineMs: 5_000 });
  try {
    for (const place of [pool, session]) {
      await expect(place.run(failing)).rejects.toThrow('division by zero');
      const next = await place.run(answer);
      expect([...next]).toEqual([{ n: 42 }]);
      expect(next.count).toBe(1);
      // Under way together with the one that fails.
      const [failed, first, second] = await Promise.allSettled([
        place.run(failing),
        place.run(pair),
        place.run(answer),
      ]);
      expect(failed.status).toBe('rejected');
      expect(first).toMatchObject({ value: [{ n: 1 }, { n: 2 }] });
      expect(second).toMatchObject({ value: [{ n: 42 }] });
      await expect(place.run(failing)).rejects.toThrow('division by zero');
      expect(await place.run((sql) => sql`SELECT WHERE false`)).toHaveLength(0);
    }
  } finally {
    await pool.end();
    await session.end();
  }
});
