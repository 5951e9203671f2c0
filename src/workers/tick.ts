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

/** Soaks end a moment after, never before: what the leader and we know of the database's clock may differ by this. */
const AFTER_MS = 5;
/** A leader who knows it a little less exactly may find the same instant not yet due: it is asked no sooner. */
const SAME_AGAIN_MS = 250;

/** The instant that a Tick was last sent for, and when. */
interface Asked {
  due: string | null;
  at: number;
}

export function tick(context: WorkerContext, options: TickOptions): Task {
  const asked: Asked = { due: null, at: 0 };
  return {
    name: 'tick',
    everyMs: options.everyMs,
    async run() {
      if (!(await options.isTickQueued())) await context.submit({ kind: 'Tick' });
    },
    nudge: (signal) => untilDue(context, options, asked, signal),
  };
}

/** Resolves when something is due; commits in between may change when that is. */
async function untilDue(
  { clock }: WorkerContext,
  { nextDue, committed }: TickOptions,
  asked: Asked,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const due = await nextDue();
    const soonest = due === asked.due ? asked.at + SAME_AGAIN_MS : 0;
    const wait = due === null ? null : Math.max(Date.parse(due) + AFTER_MS, soonest) - clock.now();
    if (wait !== null && wait <= 0) {
      Object.assign(asked, { due, at: clock.now() });
      return;
    }
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
