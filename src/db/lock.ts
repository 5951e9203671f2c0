/**
 * Advisory locks that say who leads and who works. The key holds the oid of the installation's `epoch`
 * table, so two installations in one database never meet.
 *
 * The lock session does nothing but hold its lock and be pinged. It ends by itself when its owner is frozen:
 * the server closes it after `idle_session_timeout` without a ping. An owner that is late, finds another
 * backend than the one that took the lock, a server in recovery, or one whose clock stepped, gives the lock up.
 */
import type { Clock, Logger } from '../telemetry.ts';
import { backoffMs, pause, type Random } from './backoff.ts';
import { DEADLINE_IS_OURS, type DatabaseOptions, type Sql } from './driver.ts';
import { ClockStepError, databaseProblem } from './errors.ts';
import type { Listener } from './listen.ts';
import { settingsProblem } from './path.ts';
import { DatabaseClock, databaseTime } from './database-clock.ts';
import { openSession, type Session } from './session.ts';

export type LockName = 'leader' | 'workers';

export interface HeldLock {
  /** Of the backend that holds it. */
  readonly pid: number;
  /** Aborts when the lock is no longer ours, or may not be; by a ClockStepError when it is to be taken anew. */
  readonly lost: AbortSignal;
  /** The database's time in milliseconds; asked with the lock, and again with each ping. */
  readonly now: () => number;
  /** Lets it go and wakes those who wait for it. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly database: DatabaseOptions;
  readonly name: LockName;
  /** Wakes waiters on a clean release, which is announced there. */
  readonly listener: Listener;
  readonly logger: Logger;
  readonly random: Random;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Each time that it could not even be asked for. */
  readonly onFailure?: (error: unknown) => void;
}

/** "MU" in ASCII, so that it can be recognised in pg_locks; the names differ in the last bit. */
const KEYS: Readonly<Record<LockName, number>> = { leader: 0x4d550001, workers: 0x4d550002 };

/** The server ends a lock session that is not pinged for this long: a frozen leader's lock is free then. */
const IDLE_SESSION_MS = 5_000;
/**
 * Four pings fit into the server's patience; a busy event loop delays one by 100 ms at most. What the holder takes for the
 * database's time is a second old at the most: less than a millisecond off by quartz, and a step of the server's clock is
 * followed within it.
 */
const PING_EVERY_MS = 1_000;
/** A later answer is a doubt. Ping and deadline end before the server's patience: we stop first. */
const PING_DEADLINE_MS = 2_500;
/**
 * Who notifies waits for whoever does at that moment, and behind a commit that hangs at a standby for ever: a session that
 * is given up would be left waiting, another with each term.
 */
const NOTIFY_MS = 2_000;
/** Followers: an attempt is one round trip, and a crash is noticed by the next. */
const RETRY = { firstMs: 200, maxMs: 200 } as const;
/**
 * Every enqueue wakes followers too. Under load they ask 50 times a second, not 20,000, and so are late by 10 ms on
 * average when a leader lets go; nobody waits for workers.
 */
const LEAST_GAP_MS: Readonly<Record<LockName, number>> = { leader: 20, workers: 200 };
const CONNECT_BACKOFF = { firstMs: 200, maxMs: 5_000 } as const;
const OPEN_DEADLINE_MS = 5_000;

/** Waits for the lock until the signal, then rejects with its reason. Survives a database that is away. */
export async function acquireLock(options: LockOptions, signal: AbortSignal): Promise<HeldLock> {
  let failures = 0;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await waitForLock(options, signal);
    } catch (error) {
      signal.throwIfAborted();
      options.onFailure?.(error);
      if (failures === 0) {
        const problem = databaseProblem(error, options.database);
        options.logger.warn({ lock: options.name, problem }, 'cannot ask for the lock; trying on');
      }
      await pause(backoffMs(CONNECT_BACKOFF, failures, options.random), signal);
      failures += 1;
    }
  }
}

async function waitForLock(options: LockOptions, signal: AbortSignal): Promise<HeldLock> {
  const session = await openSession(options.database, {
    role: `${options.name}-lock`,
    // Its one write is the notification of a release: a hint, which need not wait for a disk or a standby.
    settings: {
      idle_session_timeout: String(IDLE_SESSION_MS),
      synchronous_commit: 'off',
      lock_timeout: String(NOTIFY_MS),
      ...DEADLINE_IS_OURS,
    },
    deadlineMs: PING_DEADLINE_MS,
  });
  let woken = new AbortController();
  const forget = options.listener.on('in', () => {
    woken.abort();
  });
  try {
    const problem = await session.run(settingsProblem);
    if (problem !== null) throw new Error(problem);
    for (;;) {
      // Before the attempt: a release that is announced while it is under way must not be missed.
      woken = new AbortController();
      // A new one each time: nobody has gone by it before the lock is held.
      const clock = new DatabaseClock(options.clock);
      if (await tryLock(session, options.name, clock)) return hold(session, clock, options);
      await pause(LEAST_GAP_MS[options.name], signal);
      await pause(backoffMs(RETRY, 0, options.random), signal, woken.signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    await session.end();
    throw error;
  } finally {
    forget();
  }
}

async function tryLock(session: Session, name: LockName, clock: DatabaseClock): Promise<boolean> {
  const row = await clock.ask(() =>
    session.run(async (sql) => {
      const [answer] = await sql<{ mine: boolean; recovering: boolean; at: number }[]>`
        SELECT CASE WHEN pg_is_in_recovery() THEN false
          ELSE pg_try_advisory_lock(${KEYS[name]}, 'epoch'::regclass::oid::bigint::bit(32)::int)
          END AS mine, pg_is_in_recovery() AS recovering, ${databaseTime(sql)} AS at`;
      return answer;
    }, OPEN_DEADLINE_MS),
  );
  if (row?.recovering === true) throw new Error('the database is a standby: it cannot be led from');
  return row?.mine === true;
}

function hold(session: Session, clock: DatabaseClock, options: LockOptions): HeldLock {
  const done = new AbortController();
  const stepped = new AbortController();
  const both = AbortSignal.any([session.over, done.signal]);
  keepPinging(session, clock, both).catch((error: unknown) => {
    // No doubt of the lock: its owner lets go of it, or the server does, which is not pinged any more.
    if (error instanceof ClockStepError) {
      tellStep(options, error);
      stepped.abort(error);
      return;
    }
    const problem = databaseProblem(error, options.database);
    options.logger.warn({ lock: options.name, problem }, 'lock in doubt');
    session.drop();
  });
  return {
    pid: session.pid,
    lost: AbortSignal.any([session.over, stepped.signal]),
    now: () => clock.now(),
    async release() {
      done.abort();
      if (session.open) await letGo(session, options).catch(() => undefined);
      await session.end();
    },
  };
}

function tellStep({ name, logger }: LockOptions, { seconds }: ClockStepError): void {
  logger.warn(
    { lock: name, seconds },
    "the database's clock stepped: whoever leads or works by it begins anew, and listens before it calls anybody silent; let NTP keep that clock",
  );
}

async function keepPinging(
  session: Session,
  clock: DatabaseClock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(PING_EVERY_MS, signal);
    if (signal.aborted) return;
    const answer = await clock.ask(() => session.run(ping));
    if (answer?.pid !== session.pid) throw new Error('the lock session is not the one that it was');
    if (answer.recovering) throw new Error('the database became a standby');
  }
}

interface Pong {
  readonly pid: number;
  readonly recovering: boolean;
  readonly at: number;
}

async function ping(sql: Sql): Promise<Pong | undefined> {
  const [row] = await sql<Pong[]>`
    SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS recovering, ${databaseTime(sql)} AS at`;
  return row;
}

/**
 * One statement: the lock is free at once, the notification follows at its commit. Without parameters, whose types the
 * driver would ask for first.
 */
async function letGo(session: Session, { name }: LockOptions): Promise<void> {
  await session.run(
    (sql) => sql`
      SELECT pg_advisory_unlock(${sql.unsafe(String(KEYS[name]))}, 'epoch'::regclass::oid::bigint::bit(32)::int),
        pg_notify(current_schema() || '_in', '')`,
  );
}

/**
 * Asked on another session: does it see the lock held by that backend? If not, it reached another server (an old
 * primary, after a promotion) or the lock is gone.
 */
export async function seesLock(sql: Sql, name: LockName, pid: number): Promise<boolean> {
  const [row] = await sql<{ seen: boolean }[]>`
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = ${pid}
      AND classid = ${KEYS[name]}::oid
      AND objid = 'epoch'::regclass::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS seen`;
  return row?.seen === true;
}

export interface LockHolder {
  readonly pid: number;
  readonly application: string;
}

/** How the application name of every connection of ours begins. */
export const OWN_APPLICATIONS = 'muster-';

/** Any login may take an advisory lock: that delays the product, and never makes it commit wrongly. */
export function isStranger(holder: LockHolder | null): boolean {
  return holder !== null && !holder.application.startsWith(OWN_APPLICATIONS);
}

/** Who holds each lock, be it a Muster or not; null: nobody does, or there is no installation. */
export type LockHolders = Readonly<Record<LockName, LockHolder | null>>;

export async function lockHolders(sql: Sql): Promise<LockHolders> {
  const rows = await sql<(LockHolder & { readonly key: number })[]>`
    SELECT l.classid::bigint::int AS key, l.pid, coalesce(a.application_name, '') AS application
    FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted
      AND l.classid IN (${KEYS.leader}::oid, ${KEYS.workers}::oid)
      AND l.objid = to_regclass('epoch')::oid
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const of = (name: LockName): LockHolder | null => {
    const row = rows.find(({ key }) => key === KEYS[name]);
    return row === undefined ? null : { pid: row.pid, application: row.application };
  };
  return { leader: of('leader'), workers: of('workers') };
}
