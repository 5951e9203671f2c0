/**
 * Time inside the core. Instants are canonical strings, `2026-05-16T01:27:01.000Z`: always UTC, always
 * three decimals, so that plain string comparison is chronological and what is logged, stored and sent is
 * the very value that was decided on. Only arithmetic needs milliseconds. The wire normalises on decode.
 */

/** A canonical RFC 3339 UTC instant with exactly three decimals. */
export type Time = string;
/** Milliseconds since the Unix epoch; an integer. */
export type Millis = number;

export const MINUTE: Millis = 60_000;

/** For how long a message or its answer may be under way: a proxy's timeout of a minute, with room. */
export const UNDER_WAY_MS: Millis = 2 * MINUTE;

/** The canonical string of an instant. */
export function timeOf(millis: Millis): Time {
  return new Date(millis).toISOString();
}

/** The milliseconds of a canonical instant. */
export function millisOf(time: Time): Millis {
  return Date.parse(time);
}

/** `time` moved by (possibly fractional) minutes, rounded to the millisecond. */
export function addMinutes(time: Time, minutes: number): Time {
  return timeOf(Math.round(millisOf(time) + minutes * MINUTE));
}
