import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { createTestDatabase } from '../support/database.ts';

it('has no statement compiled, whatever the server would do by itself', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'settings' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const session = await openSession(database, { role: 'test', settings: {}, deadlineMs: 5_000 });
  try {
    for (const place of [pool, session]) {
      const shown = await place.run((sql) => sql`SHOW jit`);
      expect([...shown]).toEqual([{ jit: 'off' }]);
    }
  } finally {
    await pool.end();
    await session.end();
  }
});
