/** One statement that takes longer on its way than a server lets a transaction be idle. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { givenTime } from '../../src/db/slow-link.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import { createTestDatabase } from '../support/database.ts';
import { slowLink } from '../support/slow-link.ts';

/** Of the server, in ms. What is sent takes twice as long. */
const PATIENCE_MS = 1_000;
const BYTES = 2_000_000;

const undo: (() => Promise<unknown>)[] = [];
let far: Session;
beforeEach(async () => {
  const link = await slowLink((await createTestDatabase()).url, 8);
  const settings = {
    idle_in_transaction_session_timeout: String(PATIENCE_MS),
    statement_timeout: String(PATIENCE_MS),
  };
  const database = { url: link.url, schema: 'muster', name: 'far' };
  far = await openSession(database, { role: 'test', settings, deadlineMs: 10_000 });
  undo.push(
    () => link.end(),
    () => far.end(),
  );
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const text = 'x'.repeat(BYTES);
const send = (sql: Sql, value = text) => sql<{ n: number }[]>`SELECT length(${value}) AS n`;
const limits = (sql: Sql) => sql<{ idle: string; statement: string }[]>`
  SELECT current_setting('idle_in_transaction_session_timeout') AS idle,
    current_setting('statement_timeout') AS statement`;

it('ends the session, where nobody said how large it is', async () => {
  const sent = inTransaction(far, async (sql) => {
    await send(sql, 'first, so that all of the next is sent at once');
    return send(sql);
  });
  await expect(sent).rejects.toThrow();
  expect(far.open).toBe(false);
});

it.each(['first', 'again'])(
  'is given its time when it is sent %s; nothing behind it is',
  async (which) => {
    const [row, after] = await inTransaction(far, async (sql) => {
      if (which === 'again') await send(sql, 'x');
      const [answer] = await givenTime(sql, BYTES, () => send(sql).execute());
      const [left] = await limits(sql);
      return [answer, left] as const;
    });
    expect(row).toEqual({ n: BYTES });
    expect(after).toEqual({ idle: '1s', statement: '1s' });
  },
);

it('has no limit where the session has none', async () => {
  await far.run((sql) => sql.unsafe('SET idle_in_transaction_session_timeout = 0'));
  const within = await inTransaction(far, (sql) =>
    givenTime(sql, BYTES, () => limits(sql).execute()),
  );
  expect(within).toEqual([{ idle: '0', statement: '9s' }]);
});
