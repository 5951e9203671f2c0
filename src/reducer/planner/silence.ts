/**
 * When silence counts. While the control plane, or the way to it, was away nobody could be heard, however much was said:
 * whoever is back, hears first who is there. Only then does it take a slot from somebody, or go on without him, because
 * nothing is heard of him. That the way is open is known by one thing alone: that some host comes through.
 */
import type { Pass } from '../pass.ts';
import type { FleetState } from '../state/state.ts';
import { millisOf, MINUTE, type Millis } from '../time.ts';

/** Heartbeats of which nobody's came through: nobody can be heard. As many make one host unreachable. */
const DEAF_HEARTBEATS = 3;

/**
 * Heartbeats to listen for. Two more than make a host unreachable: whom the outage took is known to be lost by then, and
 * after a moment in which the way was open nobody is heard again before they are over.
 */
const LISTENED_HEARTBEATS = 5;

/** Within how many seconds somebody must have been heard for the way to be open. */
export function hearingSeconds({ settings }: FleetState): number {
  return DEAF_HEARTBEATS * settings.heartbeatSeconds;
}

/** Notes that nobody at all is heard any more, or that somebody is again: listening begins anew then. */
export function noteHearing(pass: Pass): void {
  const hearing = pass.observed?.hearing;
  const isDeaf = pass.state.fleet.deafSince !== null;
  if (hearing === undefined || hearing !== isDeaf) return;
  const set = hearing ? { deafSince: null, listeningSince: pass.at } : { deafSince: pass.at };
  pass.write([{ t: 'fleet', set }]);
}

/** From when on a silence of `graceMinutes` says something of a host: not for as long as nobody is heard. */
export function silenceCountsFrom({ fleet, settings }: FleetState, graceMinutes: number): Millis {
  if (fleet.deafSince !== null) return Infinity;
  if (fleet.listeningSince === null) return -Infinity;
  const listened = LISTENED_HEARTBEATS * settings.heartbeatSeconds * 1_000;
  return millisOf(fleet.listeningSince) + Math.min(listened, graceMinutes * MINUTE);
}

/** Whether somebody was there to hear what a silence of `graceMinutes` is to have lacked. */
export function hasListened(state: FleetState, graceMinutes: number, now: Millis): boolean {
  return now >= silenceCountsFrom(state, graceMinutes);
}
