/**
 * The server's queue of notifications: one for all its databases. A session reads its share between its transactions, so
 * one that listens and stays in a transaction holds everything that came since; any login may do that, and no right keeps
 * it from it. When the queue is full no transaction commits that notifies (54000), be it an input's or a batch's.
 *
 * Nothing wrong is committed so: whoever waits is told to come again. Room is made by commits that notify, which a full queue
 * refuses, so that it would stay full when the one who held it has gone; and by asking how full it is.
 */
import type { Sql } from './driver.ts';
import { areNotificationsFull } from './errors.ts';

/** Where PostgreSQL begins to warn, too. */
export const HELD_WARNING = 0.5;

/** 0 … 1. What nobody has to read any more makes room. */
export async function notificationsHeld(sql: Sql): Promise<number> {
  const [row] = await sql<{ share: number }[]>`SELECT pg_notification_queue_usage() AS share`;
  return row?.share ?? 0;
}

/**
 * Commits as an input would, with a notification and something for a standby to confirm, on no table. Wakes the leader,
 * which looks then and finds what it finds.
 */
export async function tryCommit(sql: Sql): Promise<void> {
  await sql`SELECT pg_notify(current_schema() || '_in', ''),
    pg_logical_emit_message(true, 'muster', 'can inputs be stored?')`;
}

/** The same error as `work`'s; of a queue that was full, after room was made. */
export async function makingRoom<T>(
  work: Promise<T>,
  run: (statement: (sql: Sql) => Promise<unknown>) => Promise<unknown>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    // Only COMMIT says so: the session is in no transaction then. Whoever cannot make room still says what was wrong.
    if (areNotificationsFull(error)) await run(notificationsHeld).catch(() => undefined);
    throw error;
  }
}

export interface Holder {
  readonly pid: number;
  readonly login: string;
  readonly database: string;
}

/**
 * Whose transaction is the oldest, in any database: no view tells who listens, but this is whom PostgreSQL warns of, too.
 * Null where the login may not see it.
 */
export async function oldestInTransaction(sql: Sql): Promise<Holder | null> {
  const [row] = await sql<Holder[]>`
    SELECT pid, usename::text AS login, datname::text AS database FROM pg_stat_activity
    WHERE xact_start IS NOT NULL AND datid IS NOT NULL AND pid <> pg_backend_pid()
    ORDER BY xact_start LIMIT 1`;
  return row ?? null;
}
