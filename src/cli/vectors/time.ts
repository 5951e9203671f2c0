/** Recorded times. One that cannot be read is a fault of its line: read as null it would agree with nothing. */
import { canonicalTime } from '../../wire/instant.ts';

/** Throws for what is no time; absent is null. */
export function recordedTime(time: string | null | undefined): string | null {
  if (time == null) return null;
  const read = canonicalTime(time);
  if (read === null) throw new Error(`${JSON.stringify(time)} is no time`);
  return read;
}
