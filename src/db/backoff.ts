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

/** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
