/**
 * Lets time pass for the leader: at the instant that the leader's last commit asked for (a wave's soak runs
 * out), and every few seconds as a safety net for graces and for anything that was missed.
 */
import type { Task, WorkerContext } from './worker.ts';
import { within } from './within.ts';

export interface TickOptions {
  readonly isTickQueued: () => Promise<boolean>;
  /** The instant that the leader's last commit asked for. */
  readonly nextDue: () => Promise<string | null>;
  /** The safety net, ms. */
  readonly everyMs: number;
  /** Resolves when a leader has committed something. */
  readonly committed: (signal: AbortSignal) => Promise<void>;
}

/** Soaks end a moment after, never before: the leader's clock and ours may differ by this. */
const AFTER_MS = 5;

export function tick(context: WorkerContext, options: TickOptions): Task {
  return {
    name: 'tick',
    everyMs: options.everyMs,
    async run() {
      if (!(await options.isTickQueued())) await context.submit({ kind: 'Tick' });
    },
    nudge: (signal) => untilDue(context, options, signal),
  };
}

/** Resolves when something is due; commits in between may change when that is. */
async function untilDue(
  { clock }: WorkerContext,
  { nextDue, committed }: TickOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const due = await nextDue();
    const wait = due === null ? null : Date.parse(due) + AFTER_MS - clock.now();
    if (wait !== null && wait <= 0) return;
    const round = within(signal);
    const reasons = [
      committed(round.signal),
      ...(wait === null ? [] : [after(clock, wait, round.signal)]),
    ];
    await Promise.race(reasons).finally(() => {
      round.end();
    });
  }
}

function after(clock: WorkerContext['clock'], ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    signal.addEventListener('abort', cancel, { once: true });
  });
}
