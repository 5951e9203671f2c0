/**
 * Holds the hosts of a channel that the set in force does not declare. What prescribed its releases is signed no more,
 * and the edges of the set name it no more, so that nothing else would hold them. Hosts keep what they run; what was
 * granted is taken back by the same rule (`planner/withdraw.ts`). Of a channel that is declared the pinned host set
 * stands, wherever its hosts are declared by now: a rollout that is let finish first must be able to.
 */
import type { FleetState } from '../../state/state.ts';
import { OPEN, type Gate } from './gate.ts';

export const notDeclared: Gate = {
  name: 'not-declared',
  keys: ({ state, rollout }) => (isDeclared(state, rollout.row.channel) ? OPEN : ['not-declared']),
  explain: ({ rollout: { row } }) => ({
    because: `the fleet declares channel ${row.channel} no more`,
    releasedBy: 'a commit declares the channel again, or an operator cancels the rollout',
    hosts: [],
  }),
  since: ({ state, rollout }) => state.channels.get(rollout.row.channel)?.undeclaredAt ?? null,
};

/** Whether the set in force has this channel, with a release or without: only then is its freshness window above 0. */
export function isDeclared({ channels }: FleetState, channel: string): boolean {
  return channels.get(channel)?.freshnessWindow !== 0;
}
