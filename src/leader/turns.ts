/**
 * Long work beside a lock that must be pinged: after every stretch of it the event loop gets a turn. One
 * input may concern every host of a fleet and take a second.
 */
import type { Sliced } from '../reducer/slices.ts';

/**
 * Stretch of work between two turns of the event loop. The lock's ping must not stall for 100 ms; and while a batch is
 * reduced, the answers to the commit of the one before wait for a turn, and its COMMIT for them.
 */
export const STRETCH_MS = 4;

export class Turns {
  private since: number;
  private readonly monotonic: () => number;

  /** `monotonic` in ms: a simulation's stands still while anybody works, and so never waits for real. */
  constructor(monotonic: () => number) {
    this.monotonic = monotonic;
    this.since = monotonic();
  }

  /** Lets others run, when the stretch has been long enough. */
  async giveWhenDue(): Promise<void> {
    if (this.monotonic() - this.since < STRETCH_MS) return;
    await new Promise(setImmediate);
    this.since = this.monotonic();
  }
}

/** Runs work to its end, with a turn for others after each stretch; a small one takes none. */
export async function inTurns<T>(work: Sliced<T>, turns: Turns): Promise<T> {
  for (;;) {
    const slice = work.next();
    if (slice.done === true) return slice.value;
    await turns.giveWhenDue();
  }
}
