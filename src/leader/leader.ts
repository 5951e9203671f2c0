/**
 * The leader role of a process: waits for the lock, leads one term after another, and lets go cleanly.
 *
 * States: following → leading → following … → stopped. On any doubt (lock or writer session gone, fence
 * refused, commit failed, the database's clock set) the term's state is dropped and the lock released; the next term starts from the
 * database. Stopping finishes the batch in hand, then releases the lock, which wakes a follower at once.
 */
import { backoffMs, pause } from '../db/backoff.ts';
import type { DatabaseOptions } from '../db/driver.ts';
import { ClockStepError, databaseProblem, isFenced, isPassing, isUnusable } from '../db/errors.ts';
import { acquireLock, type HeldLock } from '../db/lock.ts';
import { keepingTime } from '../db/database-clock.ts';
import type { Session } from '../db/session.ts';
import type { Metrics } from '../telemetry.ts';
import { INPUT_KINDS } from '../wire/input.ts';
import { openBeside } from './beside.ts';
import type { Term } from './election.ts';
import { ROTATIONS } from './rotation.ts';
import { Patience } from './lost-answers.ts';
import { LeaderTerm, type TermOptions } from './term.ts';
import { UNKNOWN_KIND } from './work.ts';
import { assertBeside, prepareWriter } from './writer.ts';

export interface LeaderOptions extends Omit<TermOptions, 'pool' | 'patience'> {
  readonly database: DatabaseOptions;
  /** 0 ≤ x < 1; spreads attempts. */
  readonly random: () => number;
  /** Told when a term began (its first row is committed) and when it ended. */
  readonly onTerm?: (term: Term | null) => void;
}

export interface Leader {
  /** Leads whenever it can, until the signal; resolves when the lock is released. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** The term this process leads in now. */
  readonly term: Term | null;
  /** The last attempt to lead failed by what time alone may not mend, such as a missing right. */
  readonly ails: boolean;
}

/** After a failed term: soon, since the fleet waits, but not in a tight loop. */
const AGAIN = { firstMs: 100, maxMs: 5_000 } as const;

/** What becomes of an input, and how a term ends. */
const VERDICTS = ['applied', 'duplicate', 'noop', 'refused', 'dead'] as const;
const FATES = ['committed', 'not-committed', 'unknown'] as const;
const ENDS = ['stopped', 'lock-lost', 'clock-stepped', 'fenced', 'failed'] as const;
type End = (typeof ENDS)[number];

/** A series that begins at 1 never increased: the first dead input would alert nobody. So all of them begin at 0. */
function beginAtZero(metrics: Metrics): void {
  for (const kind of [...INPUT_KINDS, UNKNOWN_KIND]) {
    for (const verdict of VERDICTS) {
      metrics.count('muster_leader_inputs_total', { kind, verdict }, 0);
    }
  }
  for (const fate of FATES) metrics.count('muster_leader_doubtful_commits_total', { fate }, 0);
  metrics.count('muster_database_unconfirmed_commits_total', { by: 'leader' }, 0);
  metrics.count('muster_leader_evictions_total', {}, 0);
  for (const why of ENDS) metrics.count('muster_leader_terms_ended_total', { why }, 0);
  for (const outcome of ROTATIONS) metrics.count('muster_queue_rotations_total', { outcome }, 0);
}

export function createLeader(options: LeaderOptions): Leader {
  beginAtZero(options.metrics);
  const current: { term: Term | null; ails: boolean } = { term: null, ails: false };
  const setTerm = (term: Term | null): void => {
    if (term === current.term) return;
    current.term = term;
    options.metrics.set('muster_leader_leading', {}, term === null ? 0 : 1);
    if (term !== null) {
      current.ails = false;
      options.metrics.set('muster_leader_epoch', {}, term.epoch);
    }
    options.onTerm?.(term);
  };
  const failed = (error: unknown): void => {
    current.ails = isUnusable(error) || (!isPassing(error) && !isFenced(error));
  };
  return {
    get term() {
      return current.term;
    },
    get ails() {
      return current.ails;
    },
    run: (signal) =>
      leadOnAndOn(options, { setTerm, failed, epoch: () => current.term?.epoch ?? null }, signal),
  };
}

interface Told {
  setTerm(term: Term | null): void;
  failed(error: unknown): void;
  /** Of the term; null: it did not begin. */
  epoch(): number | null;
}

async function leadOnAndOn(options: LeaderOptions, told: Told, signal: AbortSignal): Promise<void> {
  const { database, listener, logger, random } = options;
  const patience = new Patience();
  let failures = 0;
  while (!signal.aborted) {
    const ready = prepareWriter(database);
    const onFailure = (error: unknown): void => {
      told.failed(error);
    };
    const common = { database, listener, logger, random, clock: options.clock };
    const asked = { ...common, name: 'leader', onFailure } as const;
    const lock = await acquireLock(asked, signal)
      // It rejects only at the signal.
      .catch(() => null);
    if (lock === null) {
      await ready.end();
      break;
    }
    // For this term only: connections of an earlier one may lead to a server that was left behind by a promotion.
    const pool = openBeside(database);
    const openWriter = () => ready.take(lock.pid);
    const clock = keepingTime(options.clock, lock.now);
    const failed = await leadOnce(
      { ...options, clock, pool, patience, openWriter },
      lock,
      told,
      signal,
    );
    failures = failed ? failures + 1 : 0;
    if (failed) await pause(backoffMs(AGAIN, failures - 1, random), signal);
  }
}

/** One term with a held lock; true when it ended by a failure. */
async function leadOnce(
  options: TermOptions & {
    readonly database: DatabaseOptions;
    readonly openWriter: () => Promise<Session>;
  },
  lock: HeldLock,
  told: Told,
  signal: AbortSignal,
): Promise<boolean> {
  const { logger, metrics } = options;
  let writer: Session | null = null;
  const endWriter = (): void => void writer?.end();
  lock.lost.addEventListener('abort', endWriter, { once: true });
  try {
    const beside = assertBeside(options.pool, lock.pid);
    beside.catch(() => undefined); // heard below
    writer = await options.openWriter();
    await beside;
    lock.lost.throwIfAborted();
    await leadTerm(options, writer, told, signal);
    metrics.count('muster_leader_terms_ended_total', { why: 'stopped' });
    return false;
  } catch (error) {
    const why = endBy(error, lock.lost);
    const cause: unknown = lock.lost.reason ?? error;
    const problem = databaseProblem(cause, options.database);
    logger.warn({ epoch: told.epoch(), why, problem }, 'no longer leading');
    metrics.count('muster_leader_terms_ended_total', { why });
    told.failed(error);
    return true;
  } finally {
    told.setTerm(null);
    lock.lost.removeEventListener('abort', endWriter);
    // Whoever is next waits at the epoch row for what the writer may still have open.
    await Promise.all([writer?.end(), lock.release(), options.pool.end()]);
  }
}

function endBy(error: unknown, lost: AbortSignal): End {
  if (lost.reason instanceof ClockStepError) return 'clock-stepped';
  if (lost.aborted) return 'lock-lost';
  return isFenced(error) ? 'fenced' : 'failed';
}

async function leadTerm(
  options: TermOptions,
  writer: Session,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  const { logger, metrics, clock } = options;
  const began = clock.monotonic();
  const term = await LeaderTerm.begin(options, writer);
  const ms = clock.monotonic() - began;
  metrics.observe('muster_leader_takeover_seconds', {}, ms / 1_000);
  logger.info({ ...term.term, ms: Math.round(ms) }, 'leading');
  told.setTerm(term.term);
  await term.work(signal);
  logger.info({ epoch: term.term.epoch }, 'handing over leadership');
}
