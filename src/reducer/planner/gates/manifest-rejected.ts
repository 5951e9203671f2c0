/**
 * Holds hosts whose manifest was signed before the trust file's present `rejectBefore`: the kill switch. What
 * was granted before the switch was thrown is taken back by the same rule (`planner/withdraw.ts`).
 */
import type { FleetState, RolloutState } from '../../state/state.ts';
import { OPEN, type Gate } from './gate.ts';

export const manifestRejected: Gate = {
  name: 'manifest-rejected',
  keys: ({ state, rollout }) => (isRejected(state, rollout) ? ['manifest-rejected'] : OPEN),
  explain: ({ state: { fleet }, rollout: { row } }) => {
    const ofFleet = fleet.signedAt !== null && fleet.signedAt < row.signedAt;
    const what = ofFleet
      ? `the fleet was signed at ${fleet.signedAt}`
      : `signed at ${row.signedAt}`;
    return {
      because: `${what}, before ${fleet.rejectBefore ?? 'nothing'}, which the trust file rejects`,
      releasedBy: `CI signs the ${ofFleet ? 'fleet' : 'manifest'} again after that instant`,
      hosts: [],
    };
  },
};

/** Signed before the instant from which on the trust file believes signatures. */
export function isRejected(
  { fleet: { rejectBefore, signedAt } }: FleetState,
  rollout: RolloutState,
): boolean {
  if (rejectBefore === null) return false;
  return rollout.row.signedAt < rejectBefore || (signedAt !== null && signedAt < rejectBefore);
}
