/**
 * Holds a host that is switching, or rolling back, in another rollout: one change at a time. Or that a newer one dispatched:
 * of its dispatches only the newest is ever offered, so that another would hold a slot for nothing.
 */
import { isBusy, isRollingBack } from '../moving.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const hostBusy: Gate = {
  name: 'host-busy',
  isPersonal: () => true,
  keys: (held) => (busyIn(held).length === 0 ? OPEN : ['host-busy']),
  explain: (held) => ({
    because: `it is moving in ${busyIn(held).join(', ') || 'no other rollout'}`,
    releasedBy:
      'that move ends, its agent acknowledges this rollout, or an operator writes it off or withdraws its dispatch',
    hosts: [held.record.hostname],
  }),
};

function busyIn({ state, rollout, host, record: { rolloutId, hostname } }: Held): string[] {
  const found: string[] = [];
  for (const id of host?.open ?? []) {
    const other = state.rollouts.get(id);
    const there = other?.records.get(hostname);
    if (id === rolloutId || other === undefined || there === undefined) continue;
    if (isBusy(there)) found.push(`${id} (${isRollingBack(there) ? 'rolling back' : there.state})`);
    else if (other.row.ordinal > rollout.row.ordinal && other.dispatches.has(hostname))
      found.push(`${id} (dispatched)`);
  }
  return found;
}
