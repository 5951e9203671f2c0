/**
 * The time of the database, for whoever writes what others will go by: told by the server now and then, and carried on
 * by the clock of the process that nobody can set. So no step of a process's own clock reaches the log or a deadline,
 * and processes on machines that differ agree.
 *
 * An answer that took a while says the time only as exactly as that: what was known is kept where the answer bears it
 * out, and moved no further than it must. The first is taken as if it had been read at the last moment: nobody is ahead
 * of the database by it.
 *
 * A server's clock that steps is not followed: all that was heard or offered before would be as much older at once, and whom
 * nobody could have heard yet would be called silent. Whoever goes by it has to begin anew.
 */
import type { Clock } from '../telemetry.ts';
import type { Sql } from './driver.ts';
import { ClockStepError } from './errors.ts';

/** Of any statement, in milliseconds: what `DatabaseClock.hear` takes. */
export function databaseTime(sql: Sql) {
  return sql`extract(epoch FROM clock_timestamp())::float8 * 1000`;
}

type Own = Pick<Clock, 'now' | 'monotonic'>;

/** By more it is set, not put right by degrees; and an agent's heartbeat is six times as far from the next. */
const STEP_MS = 10_000;

export type Moment = ReturnType<typeof ago>;

/** So many milliseconds before now by the server's clock: what it dated is of an age that it tells itself. */
export function ago(sql: Sql, ms: number) {
  return sql`(clock_timestamp() - ${ms}::float8 * interval '1 millisecond')`;
}

/** Of what the server dated just now, and of its clock that is put right by a little meanwhile. */
const LITTLE_AHEAD = '30 seconds';

/**
 * Whether the server's clock has come to what it dated. What it has not was dated while that clock was ahead, for however
 * short a moment: nobody knows when that was, and until it has come again it would say "just now".
 */
export function hasCome(sql: Sql, at: ReturnType<Sql>) {
  return sql`${at} <= clock_timestamp() + ${LITTLE_AHEAD}::interval`;
}

export class DatabaseClock {
  /** What the server's time is before the monotonic clock's; null: it was never told. */
  private ahead: number | null = null;
  private readonly own: Own;

  constructor(own: Own) {
    this.own = own;
  }

  /**
   * An answer with the server's time arrives, to what was sent at `sentAt` of the monotonic clock. However long it took, it
   * was read in between: what lies outside by far is a step, and throws a ClockStepError.
   */
  hear(serverMs: number, sentAt: number): void {
    const least = serverMs - this.own.monotonic();
    const most = serverMs - sentAt;
    const known = this.ahead ?? least;
    const heard = Math.min(Math.max(known, least), most);
    if (Math.abs(heard - known) > STEP_MS)
      throw new ClockStepError(Math.round((heard - known) / 1_000));
    this.ahead = heard;
  }

  /** Asks `statement`, which tells the server's time as `at`. */
  async ask<T extends { readonly at: number }>(
    statement: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const sentAt = this.own.monotonic();
    const row = await statement();
    if (row !== undefined) this.hear(row.at, sentAt);
    return row;
  }

  /** Whole milliseconds; by the process's own clock until the server was heard. */
  now(): number {
    if (this.ahead === null) return this.own.now();
    return Math.floor(this.ahead + this.own.monotonic());
  }
}

/** `clock`, with another's idea of the time. */
export function keepingTime(clock: Clock, now: () => number): Clock {
  return { now, monotonic: () => clock.monotonic(), after: (ms, task) => clock.after(ms, task) };
}
