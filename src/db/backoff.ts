/** Waiting between attempts: exponential, with full-range jitter from a source that is an argument. */

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** A number from 0 (inclusive) to 1, such as `Math.random` or a seeded source in tests. */
export type Random = () => number;

/** Milliseconds before attempt `attempt` (0 is the first repeat): half to all of the doubled step. */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const step = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return step * (0.5 + random() / 2);
}

/**
 * Resolves after `ms`, or at once when one of the signals aborts. Never rejects. Several signals are taken
 * here, not joined by `AbortSignal.any`: on Node 20 a long-lived source remembers every signal made from it.
 */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal.aborted)) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of signals) signal.addEventListener('abort', done, { once: true });
  });
}
