/**
 * The writer session, opened while others lead, and warm: a takeover then waits for no connection (some 20 ms), nor
 * for a backend that knows no table and a driver that knows no statement yet (as much again, more on a busy machine).
 *
 * It may have died meanwhile, or lead to another server than the lock (an old primary that was left behind by a
 * promotion). So it must see the lock held before it writes, and answer soon; else a new one is opened.
 */
import { STAYS, type DatabaseOptions, type Sql } from '../db/driver.ts';
import { seesLock } from '../db/lock.ts';
import type { Pool } from '../db/pool.ts';
import { openSession, type Session } from '../db/session.ts';
import { schemaStanding } from '../db/standing.ts';
import { insertRows, makePartitionsAhead } from '../eventlog/append.ts';
import { meetTables, readHead } from '../eventlog/state.ts';
import { WRITE_DEADLINE_MS } from './commit.ts';

/** Gives the writer for the holder of the lock, once. */
export interface WriterInWaiting {
  /** `pid`: the backend that holds the leader's lock. Rejects when no writer sees it. */
  take(pid: number): Promise<Session>;
  end(): Promise<void>;
}

const DEADLINE_MS = 10_000;
/** An idle session whose cable was cut never answers: a new one costs less than waiting for it. */
const SIGN_OF_LIFE_MS = 500;

/** The writer's own limits: a frozen owner's transaction ends, and with it the wait of the next leader. */
const WRITER_SETTINGS = {
  // A commit finds its rows by key: what it costs must not grow with a table, whatever its statistics say.
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  idle_in_transaction_session_timeout: '5000',
  // Quiet between two ticks.
  ...STAYS,
  statement_timeout: String(WRITE_DEADLINE_MS),
} as const;

export function openWriter(database: DatabaseOptions): Promise<Session> {
  return openSession(database, {
    role: 'writer',
    settings: WRITER_SETTINGS,
    deadlineMs: DEADLINE_MS,
  });
}

export function prepareWriter(database: DatabaseOptions): WriterInWaiting {
  // A database that is away now may be there when the lock is won.
  const opening = openWriter(database).catch(() => null);
  void opening.then((writer) => writer?.run(warmUp)).catch(() => undefined);
  return {
    async take(pid) {
      const waiting = await opening;
      if (waiting !== null && (await isBeside(waiting, pid, SIGN_OF_LIFE_MS))) return waiting;
      await waiting?.end();
      const fresh = await openWriter(database);
      if (await isBeside(fresh, pid, DEADLINE_MS)) return fresh;
      await fresh.end();
      throw new Error('the writer session does not see the lock: it reached another server');
    },
    async end() {
      await (await opening)?.end();
    },
  };
}

/**
 * What a term begins with, done for nothing: no row is written or locked. Not the fence, which would leave an error in the
 * server's log. Fails where there is no schema yet.
 */
async function warmUp(sql: Sql): Promise<void> {
  await Promise.all([
    seesLock(sql, 'leader', 0),
    schemaStanding(sql),
    meetTables(sql),
    readHead(sql).then(({ seq }) => makePartitionsAhead(sql, seq)),
    insertRows(sql, []),
  ]);
}

async function isBeside(writer: Session, pid: number, deadlineMs: number): Promise<boolean> {
  try {
    return await writer.run((sql) => seesLock(sql, 'leader', pid), deadlineMs);
  } catch {
    return false; // it is over then
  }
}

/** Claims have connections of their own: what is claimed on one server must not be decided on another. */
export async function assertBeside(pool: Pool, pid: number): Promise<void> {
  if (await pool.run((sql) => seesLock(sql, 'leader', pid))) return;
  throw new Error('claims do not see the lock: they reached another server');
}
