/**
 * What a slow link asks for: how much goes in one statement, there or back, where many go together, and how long it takes.
 * While a statement is on its way the server waits in a transaction, and its answer takes of the time that it has
 * (`leader/writer.ts`, `leader/beside.ts`). A claim of 4 MB ended each term of a leader behind such a link, for ever.
 */
import type { Sql } from './driver.ts';
import { inOrder } from './transaction.ts';

/** 2 Mbit/s: below it, what takes longer is taken for lost. */
const SLOWEST_BYTES_PER_SECOND = 250_000;

/** 2.4 s over that, of five. A single item may be larger: see `givenTime`. */
export const STATEMENT_BYTES = 600_000;

/** Of a text, as it is sent: in many languages a character has two or three. */
export function bytesOf(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** How long so much may be on its way. */
export function sendingMs(bytes: number): number {
  return (bytes / SLOWEST_BYTES_PER_SECOND) * 1_000;
}

const TIMEOUTS = ['idle_in_transaction_session_timeout', 'statement_timeout'] as const;
const AS_BEFORE = TIMEOUTS.map((setting) => `SET LOCAL ${setting} TO DEFAULT`).join('; ');

/**
 * `send` sends one statement of a transaction. Where it has more bytes than go together, the server waits for it as much
 * longer; not for what follows, so that a frozen process keeps nobody waiting.
 */
export async function givenTime<T>(sql: Sql, bytes: number, send: () => Promise<T>): Promise<T> {
  if (bytes <= STATEMENT_BYTES) return send();
  const more = Math.ceil(sendingMs(bytes));
  // 0 is no limit.
  const longer = sql`
    SELECT set_config(name, (setting::bigint + ${more})::text, true) FROM pg_settings
    WHERE name = ANY(${`{${TIMEOUTS.join()}}`}) AND setting <> '0'`.execute();
  const answer = send();
  const [, answered] = await inOrder([longer, answer, sql.unsafe(AS_BEFORE).execute()]);
  return answered;
}
