/**
 * One process at a time works: the one that holds the workers' advisory lock. When the lock is lost, its
 * tasks stop at once and another process takes over; a moment of overlap does no harm, since inputs of
 * workers are idempotent.
 */
import { readFile } from 'node:fs/promises';
import {
  readAccepted,
  readRejectBefore,
  readToldOutcomes,
  storeArtifacts,
} from '../db/artifacts.ts';
import { databaseProblem } from '../db/errors.ts';
import { isAnyoneHeard, isTickQueued, readNextDue, readSilentHosts } from '../db/housekeeping.ts';
import type { Pool } from '../db/pool.ts';
import { keepingTime } from '../db/database-clock.ts';
import { liveness, MISSED, type SilentFor } from './liveness.ts';
import { logKeeper, type LogKeeperOptions } from './log-keeper.ts';
import { measure } from './measure.ts';
import { manifestPoll } from './manifest-poll.ts';
import { retention } from './retention.ts';
import type { Source } from './source.ts';
import { tick } from './tick.ts';
import { runTask, type Task, type WorkerContext } from './worker.ts';

/** A held advisory lock. */
export interface HeldLock {
  /** Aborts when the lock is no longer ours. */
  readonly lost: AbortSignal;
  /** The database's time in milliseconds. */
  readonly now: () => number;
  release(): Promise<void>;
}

export interface WorkersOptions {
  readonly pool: Pool;
  readonly source: Source;
  readonly trustFile: string;
  readonly pollMs: number;
  readonly heartbeatMs: number;
  /** Rejects while heartbeats cannot be stored, with the reason. */
  readonly storesHeartbeats: () => Promise<void>;
  readonly tickMs: number;
  readonly retentionDays: number;
  readonly logKeeper: LogKeeperOptions;
  /** Minutes: what agents accept at the most. */
  readonly agentFreshnessMinutes: number;
  /** Waits for the workers' lock; rejects at the signal. */
  readonly acquire: (signal: AbortSignal) => Promise<HeldLock>;
  /** Resolves when a leader has committed something. */
  readonly committed: (signal: AbortSignal) => Promise<void>;
}

/** Works whenever it holds the lock, until the signal. Never rejects. */
export async function runWorkers(
  context: WorkerContext,
  options: WorkersOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const lock = await options.acquire(signal).catch((error: unknown) => {
      if (!signal.aborted) {
        const reason = error instanceof Error ? error.message : String(error);
        context.log.warn({ reason }, 'cannot wait for the workers lock');
      }
      return null;
    });
    if (lock === null) {
      await afterPause(context, signal);
      continue;
    }
    context.log.info({}, 'this process works: manifests, liveness, ticks, retention');
    const until = AbortSignal.any([signal, lock.lost]);
    // What is signed, due and told is judged by the same clock as the leader's.
    const timed = { ...context, clock: keepingTime(context.clock, lock.now) };
    const running = tasks(timed, options);
    await Promise.all(running.map((task) => runTask(task, timed, until)));
    for (const task of running) task.stopped?.();
    await lock.release().catch(() => undefined);
  }
}

function tasks(context: WorkerContext, options: WorkersOptions): Task[] {
  const { pool, source, trustFile } = options;
  return [
    manifestPoll(context, {
      shelf: {
        accepted: () => readAccepted(pool),
        toldOutcomes: () => readToldOutcomes(pool),
        store: (artifacts, verifiedAt) => storeArtifacts(pool, artifacts, verifiedAt),
        rejectBefore: () => readRejectBefore(pool),
      },
      source,
      trustFile: { path: trustFile, read: () => readFile(trustFile) },
      everyMs: options.pollMs,
    }),
    liveness(context, silentFor(options), options.heartbeatMs),
    tick(context, {
      isTickQueued: () => isTickQueued(pool),
      isAnyoneHeard: () => isAnyoneHeard(pool, MISSED * options.heartbeatMs),
      deafMs: MISSED * options.heartbeatMs,
      nextDue: () => readNextDue(pool),
      // An outage that fits between two ticks would be none.
      everyMs: Math.min(options.tickMs, options.heartbeatMs),
      committed: options.committed,
    }),
    retention(context, { pool, retentionDays: options.retentionDays }),
    logKeeper(context, options.logKeeper),
    measure(context, options),
  ];
}

/** What the database compares are instants of its own clock. */
function silentFor({ pool, storesHeartbeats }: WorkersOptions): SilentFor {
  return async (silentMs, limit) => {
    await storesHeartbeats().catch((error: unknown) => {
      const why = databaseProblem(error);
      throw new Error(`heartbeats cannot be stored, so nobody's silence counts: ${why}`);
    });
    return readSilentHosts(pool, silentMs, limit);
  };
}

/** Between failed attempts: about a second, spread over processes. */
const RETRY_MS = 1_000;

async function afterPause({ clock, random }: WorkerContext, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const cancel = clock.after(RETRY_MS * (0.5 + random()), resolve);
    signal.addEventListener(
      'abort',
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}
