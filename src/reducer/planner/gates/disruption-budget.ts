/**
 * Holds a host whose move would take more hosts out at once than a budget allows. It is asked only for a
 * host that nothing else holds: a budget limits grants, and only such a host asks for one.
 *
 * One full budget is enough to hold a host, and it goes on waiting for that one while it is full: so a slot
 * that is taken or freed elsewhere is no news to the host, and each waits in one queue only.
 */
import { BUDGET_GATE, budgetState } from '../../state/flight.ts';
import type { FleetState, RolloutState } from '../../state/state.ts';
import { fullSince } from '../full-since.ts';
import { limitOf } from '../limit.ts';
import { selectorInBrief } from '../pin.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const disruptionBudget: Gate = {
  name: 'disruption-budget',
  keys: (held) => {
    const keys = fullBudgets(held);
    if (keys.length === 0) return OPEN;
    const noted = held.rollout.blockers.get(held.record.hostname)?.gates ?? OPEN;
    const awaited = noted.length === 1 ? keys.find((key) => key === noted[0]) : undefined;
    return awaited === undefined ? keys.slice(0, 1) : noted;
  },
  explain: ({ state, rollout }, subject) => {
    const index = Number(subject);
    const budget = rollout.row.plan.budgets[index];
    if (budget === undefined)
      return {
        because: 'no such budget',
        releasedBy: 'a new commit opens the next rollout',
        hosts: [],
      };
    const inFlight = [...budgetState(state, rollout, index).inFlight.keys()];
    const limit = limitOf(budget);
    return {
      because: `${String(inFlight.length)} of ${String(limit ?? 'any')} in flight under ${selectorInBrief(budget.selector)}`,
      releasedBy:
        limit === 0
          ? 'a commit lets this budget have a host in flight at all'
          : `one of these hosts converges, ends its rollback, fails for good or is closed${silent(state, inFlight)}`,
      hosts: inFlight,
    };
  },
  since: ({ state, rollout, record }, subject) =>
    fullSince(state, rollout, Number(subject), record.hostname),
};

/** Of hosts that are gone none of that comes by itself. */
function silent({ hosts }: FleetState, inFlight: readonly string[]): string {
  const lost = inFlight.filter(
    (name) => hosts.get(name)?.row.reachability === 'unreachable',
  ).length;
  if (lost === 0) return '';
  return `; ${String(lost)} of them ${lost === 1 ? 'is' : 'are'} not heard: a heartbeat comes first, or a write-off`;
}

/** The keys of every budget that has no room for this host. */
export function fullBudgets({ state, rollout, record: { hostname } }: Held): readonly string[] {
  const indexes = rollout.hostBudgets.get(hostname);
  if (indexes === undefined) return OPEN;
  return indexes
    .filter((index) => !hasRoom(state, rollout, index, hostname))
    .map((index) => `${BUDGET_GATE}${String(index)}`);
}

/** Whether the budget lets one more host move; a host that is already in flight adds nothing. */
export function hasRoom(
  state: FleetState,
  rollout: RolloutState,
  index: number,
  hostname: string,
): boolean {
  const budget = rollout.row.plan.budgets[index];
  const limit = budget === undefined ? null : limitOf(budget);
  if (limit === null) return true;
  const { inFlight } = budgetState(state, rollout, index);
  return inFlight.has(hostname) ? inFlight.size <= limit : inFlight.size < limit;
}
