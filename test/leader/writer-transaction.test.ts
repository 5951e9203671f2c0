/** An input that concerns a whole fleet is reduced for longer than the server lets a session be idle in a transaction. */
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import type { Session } from '../../src/db/session.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { WriterTransaction } from '../../src/leader/writer-transaction.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

let pool: Pool;
let writer: Session;
beforeEach(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'awake' };
  pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  await pool.run(
    (sql) => sql`INSERT INTO epoch (epoch, holder, address, version, since, incarnation,
      system_identifier, timeline, database_oid) VALUES (7, 'a', '', '1', now(), 'i', '', 0, 0)`,
  );
  writer = await openWriter(database);
});
afterEach(async () => {
  await writer.end();
  await pool.end();
});

it('stays awake while its batch is reduced, and ends when nobody keeps it so', async () => {
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
  await transaction.begin();
  await eventually(timesHeard).toBe(3);
  transaction.settle();
  const over = once(writer.over, 'abort');
  await writer.run((sql) => sql`SET LOCAL idle_in_transaction_session_timeout = 100`);
  await over;
  expect(writer.open).toBe(false);
});

it('is where a leader writes and nowhere else: what was sent behind a BEGIN that failed is refused', async () => {
  const transaction = new WriterTransaction(writer, 7);
  const write = () =>
    writer.run(
      (
        sql,
      ) => sql`INSERT INTO dead_input (input_id, kind, payload, error, enqueued_at, died_at, epoch)
      VALUES (1, 'Tick', '{}', '', now(), now(), 7)`,
    );
  await transaction.guard();
  await expect(write()).rejects.toMatchObject({ code: '25006' });
  await transaction.begin();
  await write();
  await transaction.undo();
  await expect(write()).rejects.toMatchObject({ code: '25006' });
});
