/**
 * One event on one rollout: the transition table of a rollout. The reducer decides *whether* something
 * happened (a wave is done, a threshold is crossed) from its counters; this decides what it means.
 *
 * `null` is a refusal: the event has no place in that state. A result without changes is a legal no-op:
 * late host events of an ended rollout are recorded on the host only.
 */
import type { Time } from '../time.ts';
import { hasEnded, type RolloutState } from './states.ts';

/** The fields that events can change. */
export interface RolloutCursor {
  readonly state: RolloutState;
  readonly currentWave: number;
  readonly supersededAt: Time | null;
  readonly supersededBy: string | null;
  readonly terminalAt: Time | null;
  /** On Terminal: how many hosts were tolerated, by reason. */
  readonly exceptions: Exceptions | null;
  readonly failedAt: Time | null;
  readonly endedAt: Time | null;
}

export type Exceptions = Readonly<Record<string, number>>;

export type RolloutEvent =
  | { readonly kind: 'HostJoined'; readonly at: Time }
  | {
      readonly kind: 'HostStateChanged';
      readonly at: Time;
      /** Failed and Reverted hosts that count, after the change. */
      readonly failures: number;
      /** Of these, how many have reverted. */
      readonly reverted: number;
      readonly maxFailures: number;
    }
  | {
      readonly kind: 'WaveAdvanced';
      readonly at: Time;
      readonly fromWave: number;
      readonly toWave: number;
    }
  | { readonly kind: 'LastWaveSoaking'; readonly at: Time }
  | { readonly kind: 'AllSettled'; readonly at: Time; readonly exceptions: Exceptions }
  | { readonly kind: 'SuccessorOpened'; readonly at: Time; readonly successor: string }
  | { readonly kind: 'OperatorClearance'; readonly at: Time }
  | { readonly kind: 'Cancelled'; readonly at: Time }
  | { readonly kind: 'RetentionExpired'; readonly at: Time };

export type RolloutPatch = Partial<RolloutCursor>;

const UNCHANGED: RolloutPatch = {};

/** What `event` changes of `rollout`: an assignment, `{}` for a no-op, `null` for a refusal. */
export function stepRollout(rollout: RolloutCursor, event: RolloutEvent): RolloutPatch | null {
  const { state } = rollout;
  if (state === 'Pruned') return null;
  switch (event.kind) {
    case 'HostJoined':
      return state === 'Opening' ? { state: 'Active' } : UNCHANGED;
    case 'HostStateChanged':
      return hostStateChanged(state, event);
    case 'WaveAdvanced':
      return waveAdvanced(rollout, event);
    case 'LastWaveSoaking':
      return state === 'Active' ? { state: 'Converging' } : UNCHANGED;
    case 'AllSettled':
      return isUnderway(state)
        ? { state: 'Terminal', terminalAt: event.at, exceptions: event.exceptions }
        : UNCHANGED;
    case 'SuccessorOpened':
      if (state === 'Superseded') return UNCHANGED;
      return {
        state: 'Superseded',
        supersededAt: event.at,
        supersededBy: event.successor,
        endedAt: event.at,
      };
    case 'OperatorClearance':
      return isHalted(state) ? { state: 'Active', failedAt: null } : null;
    case 'Cancelled':
      return isUnderway(state) || isHalted(state)
        ? { state: 'Cancelled', endedAt: event.at }
        : null;
    case 'RetentionExpired':
      return isUnderway(state) ? null : { state: 'Pruned', endedAt: event.at };
  }
}

export function isUnderway(state: RolloutState): boolean {
  return state === 'Opening' || state === 'Active' || state === 'Converging';
}

export function isHalted(state: RolloutState): boolean {
  return state === 'Failed' || state === 'Reverted';
}

function hostStateChanged(
  state: RolloutState,
  event: Extract<RolloutEvent, { kind: 'HostStateChanged' }>,
): RolloutPatch | null {
  if (state === 'Opening') return null;
  if (hasEnded(state)) return UNCHANGED;
  const allReverted = event.failures > 0 && event.reverted === event.failures;
  if (isHalted(state)) return state === 'Failed' && allReverted ? { state: 'Reverted' } : UNCHANGED;
  if (event.failures <= event.maxFailures) return UNCHANGED;
  const halted: RolloutPatch = { state: allReverted ? 'Reverted' : 'Failed', failedAt: event.at };
  // It is not through any more: who was absent then may be who failed now.
  return state === 'Terminal' ? { ...halted, terminalAt: null, exceptions: null } : halted;
}

// Forward only, and from where it is: anything else is a late echo. In Opening only empty waves are passed
// over, since nobody has moved yet.
function waveAdvanced(
  { state, currentWave }: RolloutCursor,
  { fromWave, toWave }: Extract<RolloutEvent, { kind: 'WaveAdvanced' }>,
): RolloutPatch | null {
  if (state === 'Terminal') return null;
  if (state !== 'Active' && state !== 'Opening' && state !== 'Converging') return UNCHANGED;
  if (fromWave !== currentWave || toWave <= currentWave) return UNCHANGED;
  // What converges is in its last wave; were there a later one, it would be on its way again.
  return state === 'Converging'
    ? { state: 'Active', currentWave: toWave }
    : { currentWave: toWave };
}
