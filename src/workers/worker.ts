/**
 * What every worker is: a task that runs again and again until it is told to stop, backs off with jitter
 * while it fails, and says so. Workers only ever submit inputs; a double of one does no harm.
 */
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import type { StoredInput } from '../wire/input.ts';
import { within } from './within.ts';

/** Hands an input to the queue; resolves when it is durable, rejects when it is not. */
export type Submit = (input: StoredInput) => Promise<void>;

export interface WorkerContext {
  readonly submit: Submit;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** 0 … 1, seeded: spreads retries of many processes. */
  readonly random: () => number;
}

export interface Task {
  readonly name: WorkerName;
  /** Milliseconds between the end of one run and the next. */
  readonly everyMs: number;
  run(signal: AbortSignal): Promise<void>;
  /** Resolves early when there is reason to run before the interval is over. */
  readonly nudge?: (signal: AbortSignal) => Promise<void>;
  /** Called once when it runs no more. */
  stopped?(): void;
}

export type WorkerName = 'manifests' | 'liveness' | 'tick' | 'retention' | 'log' | 'measure';

/** A failing task waits twice as long each time, to at most this: a source that is away is asked twice a minute. */
const MAX_BACKOFF_MS = 30_000;
const FIRST_BACKOFF_MS = 500;

/** Runs one task until the signal; never rejects. */
export async function runTask(
  task: Task,
  context: WorkerContext,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await task.run(signal);
      failures = 0;
      context.metrics.count('muster_worker_runs_total', { worker: task.name, outcome: 'ok' });
    } catch (error) {
      if (isOver(signal)) return;
      failures += 1;
      context.metrics.count('muster_worker_runs_total', { worker: task.name, outcome: 'failed' });
      const reason = error instanceof Error ? error.message : String(error);
      context.log.warn(
        { worker: task.name, failures, reason },
        'a worker failed and will try again',
      );
    }
    const ms = failures === 0 ? task.everyMs : backoff(failures, context.random());
    await pause(context.clock, ms, signal, failures === 0 ? task.nudge : undefined);
  }
}

/** A function, because the flag falls while we wait. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Full jitter between half and the whole of a doubling delay. */
function backoff(failures: number, chance: number): number {
  const whole = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
  return whole / 2 + (whole / 2) * chance;
}

/** Resolves after `ms`, at the signal, or when nudged, whichever is first. */
async function pause(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  nudge: Task['nudge'],
): Promise<void> {
  const scope = within(signal);
  await new Promise<void>((resolve) => {
    if (scope.signal.aborted) {
      resolve();
      return;
    }
    const cancel = clock.after(ms, resolve);
    scope.signal.addEventListener('abort', () => {
      cancel();
      resolve();
    });
    nudge?.(scope.signal).then(resolve, () => undefined);
  });
  scope.end();
}
