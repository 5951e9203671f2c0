/** Every request of the load and what came back, as its sender saw it. Nothing is ever removed or corrected. */

export interface Exchange {
  /** The HTTP status; null: no answer came, so the request may or may not have been carried out. */
  readonly status: number | null;
  /** Milliseconds of a clock that never jumps. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

export interface EventAttempt extends Exchange {
  readonly of: 'event';
  readonly hostname: string;
  readonly rolloutId: string;
  readonly seq: number;
  readonly kind: string;
  /** X-Muster-Verdict; null: none. */
  readonly verdict: string | null;
}

/** An event that must be refused. */
export interface MisfitAttempt extends Exchange {
  readonly of: 'misfit';
  readonly hostname: string;
  readonly seq: number;
  readonly verdict: string | null;
}

export interface HeartbeatAttempt extends Exchange {
  readonly of: 'heartbeat';
  readonly hostname: string;
  readonly closure: string;
  /** It says what nobody knew before: once answered with a 2xx, the log must have it. */
  readonly isNews: boolean;
}

export interface CommandAttempt extends Exchange {
  readonly of: 'command';
  /** The Idempotency-Key; the reason says the same, so that the log can be asked for it. */
  readonly key: string;
  /** The log rows that the answer names; null: it names none, for nothing is decided or known. */
  readonly seqs: readonly number[] | null;
}

export interface PollAttempt extends Exchange {
  readonly of: 'poll';
  readonly hostname: string;
  readonly offered: Offer | null;
}

export interface Offer {
  readonly rolloutId: string;
  readonly closure: string;
}

export type Attempt =
  EventAttempt | MisfitAttempt | HeartbeatAttempt | CommandAttempt | PollAttempt;
export type Outcome = 'ok' | 'failed' | 'unknown';

/** 2xx: it is safe. Any other answer: not taken, or nobody knows. No answer: unknown. */
export function outcomeOf({ status }: Exchange): Outcome {
  if (status === null) return 'unknown';
  return status >= 200 && status < 300 ? 'ok' : 'failed';
}

export function keyOf({
  hostname,
  rolloutId,
  seq,
}: Pick<EventAttempt, 'hostname' | 'rolloutId' | 'seq'>): string {
  return `${hostname} ${rolloutId} ${seq}`;
}

/** Those of one kind. */
export function only<K extends Attempt['of']>(
  attempts: readonly Attempt[],
  kind: K,
): readonly Extract<Attempt, { readonly of: K }>[] {
  return attempts.filter(
    (attempt): attempt is Extract<Attempt, { readonly of: K }> => attempt.of === kind,
  );
}

/** When what was acknowledged may have been lost: from the standby's last news to the primary's death. By the attempts' clock. */
export interface LossWindow {
  readonly from: number;
  readonly to: number;
}

/** What was answered just before may still have been on its way to the standby, and just after, to the sender. */
const ON_ITS_WAY_MS = 500;

/** Attempts that were answered before a window, or after it: whatever these were told is true of the new primary, too. */
export function toldOutside(
  attempts: readonly Attempt[],
  { from, to }: LossWindow,
): readonly Attempt[] {
  return attempts.filter(
    ({ sentAt, answeredAt }) =>
      answeredAt < from - ON_ITS_WAY_MS || sentAt > to || answeredAt > to + ON_ITS_WAY_MS,
  );
}

/** For those who read of a failure: a connection that was cut is one thing, a sender that gave up waiting another. */
export function describe(attempt: Attempt): string {
  const { sentAt, answeredAt, status } = attempt;
  const answer = String(status ?? `no answer after ${Math.round(answeredAt - sentAt)} ms`);
  switch (attempt.of) {
    case 'event':
      return `${attempt.hostname} ${attempt.kind} ${attempt.seq}: ${answer}`;
    case 'misfit':
      return `${attempt.hostname} misfit ${attempt.seq}: ${answer}`;
    case 'heartbeat':
      return `${attempt.hostname} heartbeat with ${attempt.closure}: ${answer}`;
    case 'command':
      return `command ${attempt.key}: ${answer}`;
    case 'poll':
      return `${attempt.hostname} poll: ${answer}`;
  }
}

export class History {
  readonly attempts: Attempt[] = [];
  /** How many of each kind were answered 2xx. */
  readonly ok: Record<Attempt['of'], number> = {
    ...{ event: 0, misfit: 0, heartbeat: 0, command: 0, poll: 0 },
  };

  note(attempt: Attempt): void {
    this.attempts.push(attempt);
    if (outcomeOf(attempt) === 'ok') this.ok[attempt.of] += 1;
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
 * The longest time in which nobody was told of a decision: between two events answered 204, from `from` to `to`.
 * A 202 only says that the event is safe; that is no progress.
 */
export function longestSilence(attempts: readonly Attempt[], from: number, to: number): Silence {
  const judged = only(attempts, 'event')
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
