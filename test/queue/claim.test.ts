import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { CLAIM_BYTES, claimInputs } from '../../src/queue/claim.ts';
import { createTestDatabase } from '../support/database.ts';

const PAYLOAD = 250_000;

it('claims no more bytes than it can read at once, at least one row, and all of them in turn', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'claim' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 10_000 });
  try {
    await pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload)
        SELECT 'Tick', json_build_object('pad', repeat('x', ${PAYLOAD}::int)) FROM generate_series(1, 50)`,
    );
    await pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload)
        VALUES ('Tick', json_build_object('pad', repeat('x', ${2 * CLAIM_BYTES}::int)))`,
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
      expect(bytes.slice(0, -1).reduce((a, b) => a + b, 0)).toBeLessThan(CLAIM_BYTES);
      taken.push(...claimed.map(({ id }) => id));
    }
    expect(taken).toHaveLength(351);
    expect(taken).toEqual(taken.toSorted((a, b) => a - b));
  } finally {
    await pool.end();
  }
});
