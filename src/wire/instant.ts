/**
 * RFC 3339 in, the core's canonical instant out. Agents write offsets and any number of fraction digits;
 * the core compares instants as plain strings, so there must be exactly one way to write each.
 */
import { FormatRegistry, Type } from '@sinclair/typebox';
import type { Time } from '../reducer/time.ts';

/** Nine fraction digits and an offset need 35; the rest is for generous clocks. Longer is junk. */
const MAX_LENGTH = 64;
const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
/** PostgreSQL has no year 0; and adding minutes to the last year must not need a fifth digit. */
const EARLIEST = Date.parse('0001-01-01T00:00:00.000Z');
const LATEST = Date.parse('9998-12-31T23:59:59.999Z');

export const TimeSchema = Type.String({
  minLength: 20,
  maxLength: MAX_LENGTH,
  description:
    'RFC 3339 instant, such as `2026-05-16T01:27:01.000Z`; any offset and fraction are accepted.',
});

/** What to say of a text that `canonicalTime` does not take. */
export const NO_INSTANT =
  'is no RFC 3339 instant of the years 1 to 9998; send one such as 2026-05-16T01:27:01.000Z';

/** Milliseconds of an RFC 3339 text's date and clock reading, taken as UTC; null when they do not exist. */
function readingOf(match: RegExpExecArray): number | null {
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((i) => Number(match[i]));
  if (year === undefined || month === undefined || day === undefined) return null;
  if (hour === undefined || minute === undefined || second === undefined) return null;
  if (hour > 23 || minute > 59 || second > 60) return null;
  // A leap second exists in RFC 3339 and nowhere else; it becomes the last millisecond before it.
  const millis = second === 60 ? 999 : Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return date.setUTCHours(hour, minute, Math.min(second, 59), millis);
}

/** Milliseconds that the written offset lies ahead of UTC; null when there is no such offset. */
function offsetOf(match: RegExpExecArray): number | null {
  if (match[8] === undefined) return 0;
  const hours = Number(match[9]);
  const minutes = Number(match[10]);
  if (hours > 23 || minutes > 59) return null;
  return (match[8] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

const CANONICAL_LENGTH = 24;
const CANONICAL = 'canonical-instant';

/** Most agents write what the core writes; reading it piece by piece would take five times as long. */
function asWritten(text: string): Time | null {
  if (text.length !== CANONICAL_LENGTH) return null;
  const instant = Date.parse(text);
  if (!(instant >= EARLIEST && instant <= LATEST)) return null;
  return new Date(instant).toISOString() === text ? text : null;
}

/** The canonical instant of an RFC 3339 text (fractions cut, not rounded, so order is kept); null for junk. */
export function canonicalTime(text: string): Time | null {
  if (text.length > MAX_LENGTH) return null;
  const written = asWritten(text);
  if (written !== null) return written;
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const reading = readingOf(match);
  const offset = offsetOf(match);
  if (reading === null || offset === null) return null;
  const instant = reading - offset;
  return instant < EARLIEST || instant > LATEST ? null : new Date(instant).toISOString();
}

FormatRegistry.Set(CANONICAL, (text) => asWritten(text) !== null);

/** An instant between our own processes, as the core writes it. PostgreSQL takes more for one (`infinity`, `tomorrow`). */
export const CanonicalTimeSchema = Type.String({
  format: CANONICAL,
  description: 'a canonical instant of the years 1 to 9998, such as 2026-05-16T01:27:01.000Z',
});
