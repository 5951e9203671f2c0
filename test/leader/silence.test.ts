/** Since when somebody listens, which decides what silence says: in the log and in the tables from a leader's first row on. */
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica } from '../support/installation.ts';

it('is when the present leader began', async () => {
  const { url } = await createTestDatabase();
  const a = startReplica(url, 'a');
  try {
    await a.lead();
    await a.resign();
    await a.lead();
    const rows = await a.pool.run(
      (sql) => sql`SELECT l.ts = f.listening_since AS is_then, l.payload->>'epoch' AS epoch
        FROM fleet f, event_log l WHERE l.kind = 'leadership' ORDER BY l.seq DESC LIMIT 1`,
    );
    expect(rows).toMatchObject([{ is_then: true, epoch: '2' }]);
  } finally {
    await a.stop();
  }
});
