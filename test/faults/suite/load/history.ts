/** Every request of the load and what came back, as its sender saw it. Nothing is ever removed or corrected. */

export interface Attempt {
  readonly hostname: string;
  readonly rolloutId: string;
  readonly seq: number;
  readonly kind: string;
  /** The HTTP status; null: no answer came, so the event may or may not have been taken. */
  readonly status: number | null;
  /** X-Muster-Verdict; null: none. */
  readonly verdict: string | null;
  /** Milliseconds of a clock that never jumps. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

export type Outcome = 'ok' | 'failed' | 'unknown';

/** 2xx: it is safe. Any other answer: not taken, or nobody knows. No answer: unknown. */
export function outcomeOf({ status }: Attempt): Outcome {
  if (status === null) return 'unknown';
  return status >= 200 && status < 300 ? 'ok' : 'failed';
}

export function keyOf({ hostname, rolloutId, seq }: Omit<Attempt, 'status'>): string {
  return `${hostname} ${rolloutId} ${seq}`;
}

export class History {
  readonly attempts: Attempt[] = [];
  /** How many were answered 2xx. */
  ok = 0;

  note(attempt: Attempt): void {
    this.attempts.push(attempt);
    if (outcomeOf(attempt) === 'ok') this.ok += 1;
  }
}

export interface Counts {
  readonly ops: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
}

export function count(attempts: readonly Attempt[]): Counts {
  const counts = { ops: attempts.length, ok: 0, failed: 0, unknown: 0 };
  for (const attempt of attempts) counts[outcomeOf(attempt)] += 1;
  return counts;
}

/**
 * The longest time in which nobody was told of a decision: between two answers 204, from `from` to `to`.
 * A 202 only says that the event is safe; that is no progress.
 */
export function longestSilence(attempts: readonly Attempt[], from: number, to: number): Silence {
  const judged = attempts
    .filter((attempt) => attempt.status === 204 && attempt.answeredAt <= to)
    .map((attempt) => attempt.answeredAt)
    .sort((a, b) => a - b);
  let longest = { from, to: from };
  let last = from;
  for (const at of [...judged, to]) {
    if (at - last > longest.to - longest.from) longest = { from: last, to: at };
    last = Math.max(last, at);
  }
  return longest;
}

/** Milliseconds of the clock of attempts. */
export interface Silence {
  readonly from: number;
  readonly to: number;
}
