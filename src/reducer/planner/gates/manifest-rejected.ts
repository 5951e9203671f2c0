/**
 * Holds hosts whose manifest was signed before the trust file's present `rejectBefore`: the kill switch. What
 * was granted before the switch was thrown is taken back by the same rule (`planner/withdraw.ts`).
 */
import type { FleetState, RolloutState } from '../../state/state.ts';
import type { FleetRow, Rejection } from '../../state/rows.ts';
import type { Time } from '../../time.ts';
import { OPEN, type Gate } from './gate.ts';
import { oldestSignature } from './manifest-stale.ts';

export const manifestRejected: Gate = {
  name: 'manifest-rejected',
  keys: ({ state, rollout }) => (isRejected(state, rollout) ? ['manifest-rejected'] : OPEN),
  explain: (held) => {
    const { fleet } = held.state;
    const signed = oldestSignature(held);
    const ofFleet = signed < held.rollout.row.signedAt;
    const what = ofFleet ? `the fleet was signed at ${signed}` : `signed at ${signed}`;
    return {
      because: `${what}, before ${fleet.rejectBefore ?? 'nothing'}, which the trust file rejects`,
      releasedBy: `CI signs the ${ofFleet ? 'fleet' : 'manifest'} again after that instant`,
      hosts: [],
    };
  },
  since: (held) => {
    const signed = oldestSignature(held);
    return rejectionsOf(held.state.fleet).find(({ before }) => signed < before)?.at ?? null;
  },
};

/** Signed before the instant from which on the trust file believes signatures. */
export function isRejected(state: FleetState, rollout: RolloutState): boolean {
  const { rejectBefore } = state.fleet;
  return rejectBefore !== null && oldestSignature({ state, rollout }) < rejectBefore;
}

/** Rises that are told apart: each is a person's deed in an emergency. Beyond, the oldest are forgotten: less is told than was. */
const MOST_REJECTIONS = 32;

/**
 * Since when what is rejected, once the trust file rejects what was signed before `before`. A rise rejects more from now on; what
 * a fall still rejects was rejected already.
 */
export function rejecting(
  fleet: FleetRow,
  before: Time | null,
  at: Time,
): readonly Rejection[] | null {
  if (before === null) return null;
  const known = rejectionsOf(fleet);
  const kept = known.filter((one) => one.before <= before);
  const fallen = known.find((one) => one.before > before);
  if (kept.at(-1)?.before !== before)
    kept.push({ before, at: fallen === undefined ? at : fallen.at });
  return kept.slice(-MOST_REJECTIONS);
}

/** An older Muster, which tells no times, may have set the instant, and left these as they were. */
function rejectionsOf({ rejectBefore, rejections }: FleetRow): readonly Rejection[] {
  if (rejectBefore === null) return [];
  if (rejections?.at(-1)?.before === rejectBefore) return rejections;
  return [{ before: rejectBefore, at: null }];
}
