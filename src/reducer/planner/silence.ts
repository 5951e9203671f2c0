/**
 * When silence counts. While the control plane, or the way to it, was away nobody could be heard, however much was said:
 * whoever is back, hears first who is there. Only then does it take a slot from somebody, or go on without him, because
 * nothing is heard of him. That the way is open is known by one thing alone: that some host comes through.
 */
import type { Pass } from '../pass.ts';
import type { Settings } from '../settings.ts';
import type { FleetState } from '../state/state.ts';
import { millisOf, MINUTE, type Millis } from '../time.ts';

/**
 * Heartbeats to listen for. Two more than make a host unreachable, and the fleet deaf (`workers/liveness.ts`): whom the outage
 * took is known to be lost by then, and after a moment in which the way was open nobody is heard again before they are over.
 */
const LISTENED_HEARTBEATS = 5;

/** Notes that nobody at all is heard any more, or that somebody is again: listening begins anew then. */
export function noteHearing(pass: Pass, hearing: boolean | undefined): void {
  const isDeaf = pass.state.fleet.deafSince !== null;
  if (hearing === undefined || hearing !== isDeaf) return;
  const set = hearing ? { deafSince: null, listeningSince: pass.at } : { deafSince: pass.at };
  pass.write([{ t: 'fleet', set }]);
}

/** From when on anybody's silence says something of it: not for as long as nobody is heard. */
export function silenceCountsFrom({ fleet, settings }: FleetState): Millis {
  if (fleet.deafSince !== null) return Infinity;
  if (fleet.listeningSince === null) return -Infinity;
  return millisOf(fleet.listeningSince) + listenedMs(settings);
}

/** Whether somebody was there, for long enough, to hear what is missed. */
export function hasListened(state: FleetState, now: Millis): boolean {
  return now >= silenceCountsFrom(state);
}

/**
 * How long the host of an offered dispatch may be silent. Whatever the setting, until an outage would have been noticed: it
 * begins in the middle of somebody's silence, while others were heard just now.
 */
export function deliveredGraceMs(settings: Settings): Millis {
  return Math.max(settings.deliveredGraceMinutes * MINUTE, listenedMs(settings));
}

function listenedMs({ heartbeatSeconds }: Settings): Millis {
  return LISTENED_HEARTBEATS * heartbeatSeconds * 1_000;
}
