/** An input that concerns a whole fleet is reduced for longer than the server lets a session be idle in a transaction. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { WriterTransaction } from '../../src/leader/writer-transaction.ts';
import { createTestDatabase } from '../support/database.ts';

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
  try {
    await transaction.begin();
    await writer.run((sql) => sql`SET LOCAL idle_in_transaction_session_timeout = 3000`);
    // The server's limit is what is waited for: it has no name to wait by.
    await delay(4_000);
    expect(writer.open).toBe(true);
    transaction.settle();
    await new Promise((resolve) => {
      writer.over.addEventListener('abort', resolve);
    });
    expect(writer.open).toBe(false);
  } finally {
    await writer.end();
    await pool.end();
  }
});
