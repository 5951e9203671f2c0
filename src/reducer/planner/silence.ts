/**
 * When silence counts. While the control plane was away nobody could be heard, however much was said: whoever is back, hears
 * first who is there. Only then does it take a slot from somebody because nothing is heard of him.
 */
import type { Pass } from '../pass.ts';
import { millisOf, MINUTE } from '../time.ts';

/** Agents repeat what was not taken within 15 s, and heartbeat every minute: one lost packet each is allowed for. */
const LISTENED_MINUTES = 3;

/** Whether somebody was there to hear what a silence of `graceMinutes` is to have lacked. */
export function hasListened({ observed, now }: Pass, graceMinutes: number): boolean {
  const since = observed?.listeningSince;
  if (since === undefined) return true;
  return now - millisOf(since) >= Math.min(LISTENED_MINUTES, graceMinutes) * MINUTE;
}
