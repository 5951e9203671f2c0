/**
 * Time and chance as arguments. An agent never asks the machine for either, so that a test or a simulator
 * can run a day of a thousand agents in a second, and twice the same.
 */
import type { Millis } from '../reducer/time.ts';

export interface Clock {
  now(): Millis;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects: callers look at the signal. */
  sleep(ms: Millis, signal: AbortSignal): Promise<void>;
}

/** A number in [0, 1). */
export type Random = () => number;

/** The longest delay a Node timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
      signal.addEventListener('abort', done, { once: true });
    }),
};

/** The same text gives the same numbers for ever (FNV-1a into mulberry32). */
export function seededRandom(seed: string): Random {
  let state = 0x811c9dc5;
  for (const char of seed) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A duration between `ms` / 2 and `ms`: enough spread that a fleet does not come back in one beat. */
export function jittered(ms: Millis, random: Random): Millis {
  return ms / 2 + (ms / 2) * random();
}

/** Half a second is shorter than a failover; 15 s is what existing agents wait between retries. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;

/** How long to wait before retry number `attempt` (from 0): doubling, capped, jittered. */
export function retryDelay(attempt: number, random: Random): Millis {
  return jittered(Math.min(FIRST_RETRY_MS * 2 ** attempt, LAST_RETRY_MS), random);
}

/** A call, so that a check before an `await` is not taken to hold after it. */
export function ended(signal: AbortSignal): boolean {
  return signal.aborted;
}
