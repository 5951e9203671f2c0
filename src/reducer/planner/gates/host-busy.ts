/** Holds a host that is switching, or rolling back, in another rollout: one change at a time. */
import { isBusy, isRollingBack } from '../moving.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const hostBusy: Gate = {
  name: 'host-busy',
  isPersonal: () => true,
  keys: (held) => (busyIn(held).length === 0 ? OPEN : ['host-busy']),
  explain: (held) => ({
    because: `it is moving in ${busyIn(held).join(', ') || 'no other rollout'}`,
    releasedBy: 'that move ends, its agent acknowledges this rollout, or an operator writes it off',
    hosts: [held.record.hostname],
  }),
};

function busyIn({ state, host, record }: Held): string[] {
  const found: string[] = [];
  for (const id of host?.open ?? []) {
    if (id === record.rolloutId) continue;
    const other = state.rollouts.get(id)?.records.get(record.hostname);
    if (other !== undefined && isBusy(other)) {
      found.push(`${id} (${isRollingBack(other) ? 'rolling back' : other.state})`);
    }
  }
  return found;
}
