/** Holds a host until the hosts that gate it, in the same rollout, are through. Other channels' hosts are not its business. */
import { OPEN, type Gate, type Held } from './gate.ts';

export const hostEdge: Gate = {
  name: 'host-edge',
  keys: (held) => {
    const keys: string[] = [];
    for (const gating of held.state.gatesOf.get(held.record.hostname) ?? []) {
      if (unfinished(held, gating) !== null) keys.push(`host-edge:${gating}`);
    }
    return keys.length === 0 ? OPEN : keys;
  },
  explain: (held, subject) => ({
    because: `${subject} is ${unfinished(held, subject) ?? 'through'}`,
    releasedBy: isHistory(held, subject)
      ? `an operator writes ${subject} off, or a new commit opens the next rollout`
      : `${subject} is Converged, Deferred or closed`,
    hosts: [subject],
  }),
};

/** It will not get any further here. */
function isHistory({ rollout }: Held, gating: string): boolean {
  return rollout.records.get(gating)?.state === 'Reverted';
}

function unfinished({ rollout }: Held, gating: string): string | null {
  const record = rollout.records.get(gating);
  if (record === undefined || record.closed !== null) return null;
  return record.state === 'Converged' || record.state === 'Deferred' ? null : record.state;
}
