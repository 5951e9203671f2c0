/**
 * A signal for one piece of work inside a longer life. Not `AbortSignal.any`: on Node 20 a long-lived source
 * remembers every signal made from it, and workers make one with every round.
 */
export interface Scope {
  /** Falls with the parent, after `ms` when given, and at `end`. */
  readonly signal: AbortSignal;
  /** Ends the scope and lets go of the parent. Always call it. */
  end(): void;
}

/** Made once: an error without a reason given costs a stack trace, and rounds are many. */
const OVER = new Error('the work is over');

export function within(parent: AbortSignal, ms?: number): Scope {
  const own = new AbortController();
  const timer =
    ms === undefined
      ? undefined
      : setTimeout(() => {
          own.abort(new Error(`no answer within ${String(ms / 1_000)} s`));
        }, ms);
  const follow = (): void => {
    own.abort(parent.reason);
  };
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  return {
    signal: own.signal,
    end() {
      clearTimeout(timer);
      parent.removeEventListener('abort', follow);
      own.abort(OVER);
    },
  };
}
