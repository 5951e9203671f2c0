/**
 * Callers that want the same kind of thing share one statement: while it is in flight the next ones gather,
 * then go together. Nothing waits when idle, and a thousand callers cost two statements.
 *
 * Where nobody is in a hurry they also gather between two statements, once there are several: heartbeats come a thousand a
 * second and are answered a tenth of a second later, which no agent notices, by some forty statements instead of a thousand.
 */
import type { Clock } from '../telemetry.ts';
import { Refusal } from './refusal.ts';

export interface GatherOptions<K, V> {
  /** Results in the order of the keys. */
  readonly run: (keys: readonly K[]) => Promise<readonly V[]>;
  readonly onRun: (keys: number) => void;
  /** Least milliseconds between the beginnings of two statements where several call; 0 unless given. */
  readonly apartMs?: number;
  readonly clock: Pick<Clock, 'monotonic' | 'after'>;
}

/** Beyond this a statement gains nothing, and its text stays well under a megabyte. */
const MAX_BATCH = 1_000;
/** Twice what 10,000 hosts ask for when they all come back at once; some 10 MB. */
const MAX_WAITING = 20_000;
/** Two statements overlap, so that the database has one to do while we read the other. */
const LANES = 2;
const FULL_RETRY_SECS = 5;

interface Caller<K, V> {
  readonly key: K;
  readonly resolve: (value: V) => void;
  readonly reject: (error: unknown) => void;
}

export function gather<K, V>(options: GatherOptions<K, V>): (key: K) => Promise<V> {
  const { apartMs = 0, clock } = options;
  let waiting: Caller<K, V>[] = [];
  let running = 0;
  /** When the last statement began, and whether others called beside or meanwhile. */
  let beganAt = Number.NEGATIVE_INFINITY;
  let isCrowd = false;
  let isPausing = false;

  const serve = async (callers: readonly Caller<K, V>[]): Promise<void> => {
    try {
      options.onRun(callers.length);
      const values = await options.run(callers.map(({ key }) => key));
      callers.forEach((caller, i) => {
        const value = values[i];
        if (value === undefined) caller.reject(new Error('a gathered statement left a caller out'));
        else caller.resolve(value);
      });
    } catch (error) {
      for (const caller of callers) caller.reject(error);
    } finally {
      running -= 1;
      isCrowd ||= waiting.length > 0;
      pump();
    }
  };
  /** Whether there is a pause to wait for, after which `pump` is called again. */
  const pauses = (): boolean => {
    const isAlone = running === 0 && !isCrowd;
    const left = beganAt + apartMs - clock.monotonic();
    if (isAlone || left <= 0 || waiting.length >= MAX_BATCH) return false;
    if (!isPausing) {
      isPausing = true;
      clock.after(left, () => {
        isPausing = false;
        pump();
      });
    }
    return true;
  };
  const pump = (): void => {
    while (running < LANES && waiting.length > 0 && !pauses()) {
      const callers = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      running += 1;
      beganAt = clock.monotonic();
      isCrowd = callers.length > 1;
      serve(callers).catch(() => undefined); // each caller has been told
    }
  };
  return (key) => {
    if (waiting.length >= MAX_WAITING) {
      const detail = 'too many requests wait for the database; send the same again later';
      return Promise.reject(
        new Refusal('not-accepted', detail, {
          retryAfterSecs: FULL_RETRY_SECS,
          why: 'gather-full',
        }),
      );
    }
    return new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      pump();
    });
  };
}
