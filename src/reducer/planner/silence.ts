/**
 * When silence counts. While the control plane was away nobody could be heard, however much was said: whoever is back, hears
 * first who is there. Only then does it take a slot from somebody, or go on without him, because nothing is heard of him.
 */
import type { FleetState } from '../state/state.ts';
import { millisOf, MINUTE, type Millis } from '../time.ts';

/** Agents repeat what was not taken within 15 s, and heartbeat every minute: one lost packet each is allowed for. */
const LISTENED_MINUTES = 3;

/** Whether somebody was there to hear what a silence of `graceMinutes` is to have lacked. */
export function hasListened({ fleet }: FleetState, graceMinutes: number, now: Millis): boolean {
  const { listeningSince } = fleet;
  if (listeningSince === null) return true;
  return now - millisOf(listeningSince) >= Math.min(LISTENED_MINUTES, graceMinutes) * MINUTE;
}
