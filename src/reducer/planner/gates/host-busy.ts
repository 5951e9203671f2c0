/**
 * Holds a host that is switching, or rolling back, in another rollout: one change at a time. Or that a newer one dispatched:
 * of its dispatches only the newest is ever offered, so that another would hold a slot for nothing.
 */
import type { FleetState, RolloutState } from '../../state/state.ts';
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

/** The newer rollout whose dispatch of this host is in force; null: there is none. */
function dispatchedByNewer(
  state: FleetState,
  { row }: RolloutState,
  hostname: string,
): string | null {
  for (const id of state.hosts.get(hostname)?.open ?? []) {
    const other = state.rollouts.get(id);
    if (other !== undefined && other.row.ordinal > row.ordinal && other.dispatches.has(hostname))
      return id;
  }
  return null;
}

function busyIn({ state, rollout, host, record }: Held): string[] {
  const newer = dispatchedByNewer(state, rollout, record.hostname);
  const found = newer === null ? [] : [`${newer} (dispatched)`];
  for (const id of host?.open ?? []) {
    if (id === record.rolloutId) continue;
    const other = state.rollouts.get(id)?.records.get(record.hostname);
    if (other !== undefined && isBusy(other)) {
      found.push(`${id} (${isRollingBack(other) ? 'rolling back' : other.state})`);
    }
  }
  return found;
}
