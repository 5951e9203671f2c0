/**
 * Whether a wave still waits for anyone. Counters answer for every host that is there; only hosts that are
 * absent are looked at one by one, and only when nobody present is left.
 */
import { isHalted } from '../rollout/step-rollout.ts';
import { isFleetHeard, type FleetState, type RolloutState } from '../state/state.ts';
import type { WaveTally } from '../state/tally.ts';
import { millisOf, MINUTE, type Millis } from '../time.ts';

export type WaveStanding =
  /** Nobody is waited for. */
  | { readonly kind: 'settled' }
  /** Hosts are still on their way. */
  | { readonly kind: 'waiting' }
  /** Nobody present is left, but absence may not settle the wave; `blocker` says why. */
  | { readonly kind: 'blocked'; readonly blocker: 'fleet-silent' | 'wave-unproven' };

const SETTLED: WaveStanding = { kind: 'settled' };
const WAITING: WaveStanding = { kind: 'waiting' };

export function standingOf(
  state: FleetState,
  rollout: RolloutState,
  wave: WaveTally,
  now: Millis,
): WaveStanding {
  if (wave.total === 0) return SETTLED;
  const { counts } = wave;
  if (isSomeoneOnTheWay(wave)) return WAITING;
  if (isHalted(rollout.row.state) && counts.failed + counts.reverted > 0) return WAITING;
  if (counts.pendingAbsent > 0) {
    if (!isEnoughHeard(state, wave)) return { kind: 'blocked', blocker: 'fleet-silent' };
    if (!areAbsencesOver(state, rollout, wave, now)) return WAITING;
  }
  const proven = counts.converged + counts.deferred + wave.byOperator > 0;
  return proven ? SETTLED : { kind: 'blocked', blocker: 'wave-unproven' };
}

/** Every wave is settled. Counters first: who is absent is looked at when all others are through. */
export function isEveryWaveSettled(state: FleetState, rollout: RolloutState, now: Millis): boolean {
  return (
    !rollout.waves.some(isSomeoneOnTheWay) &&
    rollout.waves.every((wave) => standingOf(state, rollout, wave, now).kind === 'settled')
  );
}

/** No host is waited for, though an operator may have to answer for a wave in which none came through. */
export function isEveryHostSettled(state: FleetState, rollout: RolloutState, now: Millis): boolean {
  if (rollout.waves.some(isSomeoneOnTheWay)) return false;
  return rollout.waves.every((wave) => {
    const standing = standingOf(state, rollout, wave, now);
    return standing.kind === 'blocked'
      ? standing.blocker === 'wave-unproven'
      : standing.kind === 'settled';
  });
}

/** Somebody present has yet to come through. */
function isSomeoneOnTheWay({ counts }: WaveTally): boolean {
  return counts.activating + counts.soaking + counts.pendingPresent > 0;
}

/** Absence says something about a host only while most others are heard. */
function isEnoughHeard(state: FleetState, wave: WaveTally): boolean {
  return wave.reachable * 2 >= wave.total && isFleetHeard(state);
}

function areAbsencesOver(
  state: FleetState,
  rollout: RolloutState,
  wave: WaveTally,
  now: Millis,
): boolean {
  const grace = state.settings.offlineGraceMinutes * MINUTE;
  for (const hostname of wave.pending) {
    const host = state.hosts.get(hostname)?.row;
    if (host?.reachability === 'reachable') continue;
    const since = host?.reachabilityAt ?? rollout.row.openedAt;
    if (now - millisOf(since) <= grace) return false;
  }
  return true;
}

/** When the soak of a wave is over, counted from when its completions were applied here; null when none is due. */
export function soakEnd(rollout: RolloutState, index: number): Millis | null {
  const last = rollout.waves[index]?.lastCompletion ?? null;
  if (last === null) return null;
  return millisOf(last) + Math.round((rollout.row.plan.soakMinutes[index] ?? 0) * MINUTE);
}
