/** An input that concerns a whole fleet is reduced for longer than the server lets a session be idle in a transaction. */
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { WriterTransaction } from '../../src/leader/writer-transaction.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

it('stays awake while its batch is reduced, and ends when nobody keeps it so', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'awake' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  await pool.run(
    (sql) => sql`INSERT INTO epoch (epoch, holder, address, version, since, incarnation,
      system_identifier, timeline, database_oid) VALUES (7, 'a', '', '1', now(), 'i', '', 0, 0)`,
  );
  const writer = await openWriter(database);
  const transaction = new WriterTransaction(writer, 7);
  const heard = new Set<string>();
  /** How often the server was seen to hear of the session while it was idle in its transaction. */
  const timesHeard = async (): Promise<number> => {
    const rows = await pool.run(
      (sql) => sql<{ at: string }[]>`SELECT state_change::text AS at FROM pg_stat_activity
        WHERE pid = ${writer.pid} AND state = 'idle in transaction'`,
    );
    for (const { at } of rows) heard.add(at);
    return heard.size;
  };
  try {
    await transaction.begin();
    await eventually(timesHeard).toBe(3);
    transaction.settle();
    const over = once(writer.over, 'abort');
    await writer.run((sql) => sql`SET LOCAL idle_in_transaction_session_timeout = 100`);
    await over;
    expect(writer.open).toBe(false);
  } finally {
    await writer.end();
    await pool.end();
  }
});
