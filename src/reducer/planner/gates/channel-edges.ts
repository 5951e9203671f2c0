/** Holds a channel while a channel that gates it has declared a release that is not Terminal yet. */
import { OPEN, type Gate, type Held } from './gate.ts';

export const channelEdges: Gate = {
  name: 'channel-edges',
  keys: (held) => {
    const keys: string[] = [];
    for (const edge of held.state.content?.channelEdges ?? []) {
      if (edge.gated === held.record.channel && pending(held, edge.gates) !== null) {
        keys.push(`channel-edges:${edge.gates}`);
      }
    }
    return keys.length === 0 ? OPEN : keys;
  },
  explain: (held, subject) => ({
    because: pending(held, subject) ?? `channel ${subject} has nothing outstanding`,
    releasedBy: `the rollout of channel ${subject} becomes Terminal`,
    hosts: [],
  }),
};

/** Why `gating` is not through with its verified manifest; null when it is, or has none. */
function pending({ state }: Held, gating: string): string | null {
  const channel = state.channels.get(gating);
  if (channel === undefined || channel.declaredRef === null || channel.manifestHash === null)
    return null;
  const id = `${gating}@${channel.declaredRef}`;
  const rollout = state.rollouts.get(id);
  if (rollout === undefined) return `rollout ${id} is not opened`;
  const { state: stands, terminalAt } = rollout.row;
  if (stands === 'Terminal' || (stands === 'Pruned' && terminalAt !== null)) return null;
  return `rollout ${id} is ${stands}`;
}
