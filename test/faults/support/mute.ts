/**
 * A server whose queue of notifications is full: a session that listens sits in a transaction, and somebody, who needs no
 * right for it, notifies. `max_notify_queue_pages` (PostgreSQL 17 and later) makes it 512 kB instead of 8 GB.
 */
import postgres from 'postgres';
import type { BenchDatabase } from '../suite/bench/database.ts';

export const SMALL_QUEUE = { max_notify_queue_pages: '64' } as const;

/** Nearly a page each. */
const NOTIFY = "SELECT pg_notify('elsewhere', repeat('y', 7900))";

export interface Mute {
  /** The backend of the session that holds the queue. */
  readonly pid: number;
  /** The session ends, and nothing else is done. */
  release(): Promise<void>;
}

/** Resolves when the server refuses notifications. */
export async function mute({ url }: BenchDatabase): Promise<Mute> {
  const open = () => postgres(url.href, { max: 1, onnotice: () => undefined });
  const listening = open();
  const release = () => listening.end({ timeout: 1 });
  try {
    await listening.unsafe('LISTEN elsewhere');
    await listening.unsafe('BEGIN');
    const [row] = await listening<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    await fill(open());
    return { pid: row?.pid ?? 0, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function fill(sql: postgres.Sql): Promise<void> {
  try {
    for (;;) await sql.unsafe(NOTIFY);
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== '54000') throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
