/**
 * What lies between a client and its server, tried out with two sessions: does a session stay with one backend, and do
 * notifications arrive? A transaction pooler gives a session another backend whenever it has one free, and may greet it
 * as if it were PostgreSQL itself.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DEADLINE_IS_OURS, type DatabaseOptions, type Sql } from './driver.ts';
import { areNotificationsFull, isContended } from './errors.ts';
import { openSession, type Session } from './session.ts';

export interface Path {
  /** Two transactions of one session met the same backend, whatever others did meanwhile. */
  readonly keepsSession: boolean;
  /**
   * A notification of another session arrived; null: not tried, or the server takes none; `held`: another commit that
   * notifies keeps the lock that each of them takes.
   */
  readonly hears: boolean | 'held' | null;
  /** Why the settings of a session do not arrive; null: they do. */
  readonly dropsSettings: string | null;
}

/** A pooler that takes turns shows in the second, one that gives the last backend that became free in the first. */
const ROUNDS = 5;
/** How long the other session keeps a backend: another's statement that comes meanwhile needs one of its own. */
const BUSY_SECS = 0.05;
/** PostgreSQL delivers within milliseconds. */
const HEARD_WITHIN_MS = 2_000;
const DEADLINE_MS = 10_000;
/**
 * Notifications need an id, and their commit would wait for a standby that may be away. One that does wait for it keeps a
 * lock meanwhile which any other needs: no answer would be no finding.
 */
const SETTINGS = { synchronous_commit: 'off', lock_timeout: '2s', ...DEADLINE_IS_OURS } as const;

/** `listens`: a standby cannot, so it is not tried there. */
export async function readPath(database: DatabaseOptions, listens: boolean): Promise<Path> {
  const heard = new AbortController();
  const options = { role: 'doctor', settings: SETTINGS, deadlineMs: DEADLINE_MS };
  const onNotify = (): void => {
    heard.abort();
  };
  const session = await openSession(database, { ...options, onNotify });
  try {
    const dropsSettings = await session.run(settingsProblem);
    const other = await openSession(database, options);
    try {
      const keeps = await keepsSession(session, other);
      const hears = keeps && listens ? await hearsOther(session, other, heard.signal) : null;
      return { keepsSession: keeps, hears, dropsSettings };
    } finally {
      await other.end();
    }
  } finally {
    await session.end();
  }
}

/**
 * Why a session without the settings that it asked for may not lead or work: a frozen owner would keep its lock, and a hidden
 * row would be no error. A pooler in session mode drops them when it is told to ignore startup parameters. Null where they
 * arrived: no server has this one by itself.
 */
export async function settingsProblem(sql: Sql): Promise<string | null> {
  const [row] = await sql<{ kept: boolean }[]>`
    SELECT current_setting('row_security') = 'off' AS kept`;
  return row?.kept === true
    ? null
    : 'the settings of its sessions are dropped on the way: a pooler in between ignores startup parameters; give the URL of PostgreSQL itself';
}

export const LEADS_ELSEWHERE =
  'MUSTER_LEADER_DATABASE_URL leads to another database than MUSTER_DATABASE_URL, and what agents send there would wait for ever: correct one of them';

/** Which database, of which running server: URLs that lead to the same one give the same, however they name it. */
export async function whichDatabase(sql: Sql): Promise<string> {
  const [row] = await sql<{ which: string }[]>`
    SELECT extract(epoch FROM pg_postmaster_start_time()) || ' ' || oid AS which
    FROM pg_database WHERE datname = current_database()`;
  return row?.which ?? '';
}

async function keepsSession(session: Session, other: Session): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const mark = randomUUID();
    await session.run((sql) => setMark(sql, mark, 0));
    const busy = other.run((sql) => setMark(sql, randomUUID(), BUSY_SECS));
    const [seen] = await Promise.all([session.run(readMark), busy]);
    if (seen !== mark) return false;
  }
  return true;
}

/** In the simple protocol: a pooler need not know a statement that was prepared on another backend. */
async function setMark(sql: Sql, mark: string, seconds: number): Promise<void> {
  await sql.unsafe(
    `SELECT set_config('muster.mark', '${mark}', false), pg_sleep(${String(seconds)})`,
  );
}

async function readMark(sql: Sql): Promise<string | null> {
  const [row] = await sql.unsafe<{ mark: string | null }[]>(
    "SELECT current_setting('muster.mark', true) AS mark",
  );
  return row?.mark ?? null;
}

async function hearsOther(
  session: Session,
  other: Session,
  heard: AbortSignal,
): Promise<Path['hears']> {
  const channel = `muster_doctor_${String(session.pid)}`;
  await session.run((sql) => sql`LISTEN ${sql(channel)}`);
  try {
    await other.run((sql) => sql`SELECT pg_notify(${channel}, '')`);
  } catch (error) {
    if (areNotificationsFull(error)) return null;
    if (isContended(error)) return 'held';
    throw error;
  }
  await delay(HEARD_WITHIN_MS, undefined, { signal: heard }).catch(() => undefined);
  return heard.aborted;
}
