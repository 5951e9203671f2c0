/**
 * Holds a host whose move would take more hosts out at once than a budget allows. It is asked only for a
 * host that nothing else holds: a budget limits grants, and only such a host asks for one.
 */
import { budgetState } from '../../state/put.ts';
import type { PinnedBudget } from '../../state/rows.ts';
import type { FleetState, RolloutState } from '../../state/state.ts';
import { EXPLAIN_HOSTS, OPEN, type Gate } from './gate.ts';

export const disruptionBudget: Gate = {
  name: 'disruption-budget',
  keys: ({ state, rollout, record }) => {
    const keys: string[] = [];
    for (const index of rollout.hostBudgets.get(record.hostname) ?? []) {
      if (!hasRoom(state, rollout, index, record.hostname))
        keys.push(`disruption-budget:${String(index)}`);
    }
    return keys.length === 0 ? OPEN : keys;
  },
  explain: ({ state, rollout }, subject) => {
    const index = Number(subject);
    const budget = rollout.row.plan.budgets[index];
    if (budget === undefined)
      return { because: 'no such budget', releasedBy: 'nothing', hosts: [] };
    const inFlight = [...budgetState(state, rollout, index).inFlight.keys()].sort();
    return {
      because: `${String(inFlight.length)} of ${String(limitOf(budget) ?? 'any')} in flight under ${budget.key}`,
      releasedBy: 'one of these hosts converges, fails for good or is closed',
      hosts: inFlight.slice(0, EXPLAIN_HOSTS),
    };
  },
};

/** Granting a host that is already in flight adds nothing. */
function hasRoom(
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

/** How many hosts may be in flight: a count, or a share of the budget's hosts, at least one; the lower of both. */
export function limitOf(budget: PinnedBudget): number | null {
  const share =
    budget.maxInFlightPct === null
      ? null
      : Math.max(1, Math.floor((budget.hosts.length * budget.maxInFlightPct) / 100));
  if (share === null) return budget.maxInFlight;
  return budget.maxInFlight === null ? share : Math.min(budget.maxInFlight, share);
}
