/**
 * The control plane's clock as whoever asks it knows it, by the `Date` of its answers. Ages and alarms are about instants
 * of that clock: a laptop whose own is an hour ahead must not call a fresh manifest stale, or a stale one fresh.
 */
export interface ServerClock {
  /** Milliseconds; one's own clock until an answer came. */
  now(): number;
  /** How far one's own clock is ahead; 0 within the noise. */
  aheadMs(): number;
  /** An answer came with this `Date`. */
  heard(date: string | null): void;
}

/** `Date` has whole seconds, and an answer is under way for a while: less is nothing that can be told. */
const NOISE_MS = 5_000;
/** What is known is kept while later answers say the same, so that ages do not tremble. */
const SAME_MS = 2_000;
/** Half a second is what is cut off on the average. */
const CUT_OFF_MS = 500;

export function createServerClock(own: () => number): ServerClock {
  let ahead = 0;
  return {
    now: () => own() - ahead,
    aheadMs: () => ahead,
    heard(date) {
      const told = Date.parse(date ?? '');
      if (Number.isNaN(told)) return;
      const seen = own() - told - CUT_OFF_MS;
      if (Math.abs(seen) < NOISE_MS) ahead = 0;
      else if (Math.abs(seen - ahead) > SAME_MS) ahead = seen;
    },
  };
}

/** Beyond this a person is told: certificates and tokens of the machine may fail by it, too. */
const WORTH_A_WORD_MS = 30_000;

/** One sentence; null: it is nothing to speak of. `span`: how the place that says it writes a time of so many seconds. */
export function clockNote(aheadMs: number, span: (seconds: number) => string): string | null {
  if (Math.abs(aheadMs) < WORTH_A_WORD_MS) return null;
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  const by = span(Math.abs(aheadMs) / 1_000);
  return `this machine's clock is ${by} ${side} the control plane's, by which ages are told: run NTP on both`;
}
