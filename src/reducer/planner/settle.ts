/**
 * Whether a wave still waits for anyone. Counters answer for every host that is there; of those that are absent only who
 * fell silent last is asked, and only when nobody present is left.
 */
import { isHalted } from '../rollout/step-rollout.ts';
import { absentSince, isFleetHeard, type FleetState, type RolloutState } from '../state/state.ts';
import type { WaveTally } from '../state/tally.ts';
import { millisOf, MINUTE, type Millis } from '../time.ts';
import { hasListened } from './silence.ts';

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
    rollout.waves.every((_, index) => standingAt(state, rollout, index, now).kind === 'settled')
  );
}

/**
 * As `standingOf`, but of a wave that the cursor has passed its proof is not asked for again: the Deferred host that
 * was it may yet fail at its reboot.
 */
function standingAt(
  state: FleetState,
  rollout: RolloutState,
  index: number,
  now: Millis,
): WaveStanding {
  const wave = rollout.waves[index];
  const standing = wave === undefined ? SETTLED : standingOf(state, rollout, wave, now);
  const isPassed = index < rollout.row.currentWave;
  return isPassed && standing.kind === 'blocked' && standing.blocker === 'wave-unproven'
    ? SETTLED
    : standing;
}

/** Somebody has yet to be let into a later wave. */
export function isAnyoneUnpromoted({ row, waves }: RolloutState): boolean {
  return waves.some(({ pending }, index) => index > row.currentWave && pending.size > 0);
}

/** What keeps a rollout in which nobody present is left: its current wave first, and before its end any other. */
export function blockerOf(state: FleetState, rollout: RolloutState, now: Millis) {
  const { currentWave } = rollout.row;
  const current = standingAt(state, rollout, currentWave, now);
  if (current.kind === 'blocked') return current.blocker;
  if (current.kind === 'waiting' || isAnyoneUnpromoted(rollout)) return null;
  if (rollout.waves.some((wave) => isSomeoneOnTheWay(wave) || wave.counts.deferred > 0))
    return null;
  for (let index = 0; index < currentWave; index += 1) {
    const standing = standingAt(state, rollout, index, now);
    if (standing.kind === 'blocked') return standing.blocker;
  }
  return null;
}

/** The wave in which absence may not settle anybody, because too few are heard; the current one where none is. */
export function silentWave(state: FleetState, rollout: RolloutState): number {
  const { currentWave } = rollout.row;
  const isSilent = (wave: WaveTally | undefined) =>
    wave !== undefined && wave.counts.pendingAbsent > 0 && !isEnoughHeard(state, wave);
  if (isSilent(rollout.waves[currentWave])) return currentWave;
  const found = rollout.waves.findIndex(isSilent);
  return found < 0 ? currentWave : found;
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
  const { offlineGraceMinutes } = state.settings;
  if (!hasListened(state, now)) return false;
  const last = wave.absences.last(absentSince(state, rollout, wave));
  return last === null || now - millisOf(last) > offlineGraceMinutes * MINUTE;
}

/** When the soak of a wave is over, counted from when its completions were applied here; null when none is due. */
export function soakEnd(rollout: RolloutState, index: number): Millis | null {
  const last = rollout.waves[index]?.lastCompletion ?? null;
  if (last === null) return null;
  return millisOf(last) + Math.round((rollout.row.plan.soakMinutes[index] ?? 0) * MINUTE);
}
