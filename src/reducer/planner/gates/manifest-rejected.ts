/** Holds hosts whose manifest was signed before the trust file's present `rejectBefore`: the kill switch. */
import { OPEN, type Gate, type Held } from './gate.ts';

export const manifestRejected: Gate = {
  name: 'manifest-rejected',
  keys: (held) => (isRejected(held) ? ['manifest-rejected'] : OPEN),
  explain: ({ state, rollout }) => ({
    because: `signed at ${rollout.row.signedAt}, before ${state.fleet.rejectBefore ?? 'nothing'}, which the trust file rejects`,
    releasedBy: 'CI signs the manifest again after that instant',
    hosts: [],
  }),
};

function isRejected({ state, rollout }: Held): boolean {
  const { rejectBefore, signedAt } = state.fleet;
  if (rejectBefore === null) return false;
  return rollout.row.signedAt < rejectBefore || (signedAt !== null && signedAt < rejectBefore);
}
