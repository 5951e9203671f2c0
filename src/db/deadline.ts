/** A deadline of our own on every query: a half-open socket answers never, and no server setting helps. */

/** The answer did not come in time. What the statement did is unknown. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** Milliseconds; or what they come to so far, where that grows with what is still being sent. */
export type Deadline = number | (() => number);

/** `promise`, or a DeadlineError after `deadline`; `onLate` runs first then. */
export async function within<T>(
  promise: Promise<T>,
  deadline: Deadline,
  onLate: () => void,
): Promise<T> {
  const now = typeof deadline === 'number' ? () => deadline : deadline;
  const began = performance.now();
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  const late = new Promise<never>((_, reject) => {
    const look = (given: number): void => {
      const ms = now();
      if (ms > given) {
        wait(ms);
        return;
      }
      onLate();
      reject(new DeadlineError(`no answer from the database within ${String(Math.round(ms))} ms`));
    };
    const wait = (ms: number): void => {
      timer = setTimeout(
        () => {
          // Timers run before sockets are read: after a stall of ours the answer may be here, and not be heard yet.
          immediate = setImmediate(look, ms);
        },
        began + ms - performance.now(),
      );
    };
    wait(now());
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(immediate);
  }
}
