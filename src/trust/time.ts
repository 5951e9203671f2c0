/** Times of artifacts as numbers, because ages and windows are arithmetic. */
import { canonicalTime } from '../wire/instant.ts';

/** Milliseconds since the epoch of an RFC 3339 text, or undefined if it is none. */
export function parseTime(text: string): number | undefined {
  const canonical = canonicalTime(text);
  return canonical === null ? undefined : Date.parse(canonical);
}

/** To the second, as producers write `signedAt`. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
