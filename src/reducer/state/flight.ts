/**
 * Who is in flight under which budget, over all rollouts, and who waits for a slot: kept up to date row by
 * row, so that a grant looks at counters and a freed slot at the next in its queue.
 */
import { limitOf } from '../planner/limit.ts';
import { isMoving } from '../planner/moving.ts';
import { dispatches } from '../rollout/states.ts';
import type { BlockerRow } from './rows.ts';
import type { BudgetState, FleetState, RolloutState } from './state.ts';
import { isWaiting } from './tally.ts';
import type { WaiterQueue } from './waiters.ts';
import { WaitingQueues } from './waiting-queues.ts';

/** The key by which the disruption-budget gate names a budget of the host's rollout. */
export const BUDGET_GATE = 'disruption-budget:';

/** The shared state of a rollout's budget number `index`. */
export function budgetState(state: FleetState, rollout: RolloutState, index: number): BudgetState {
  const key = rollout.row.plan.budgets[index]?.key;
  if (key === undefined) {
    throw new Error(`rollout ${rollout.row.rolloutId} has no budget ${String(index)}`);
  }
  const known = state.budgets.get(key);
  if (known !== undefined) return known;
  const made: BudgetState = {
    ...{ key, inFlight: new Map(), queues: new WaitingQueues(), granting: new Map(), most: null },
  };
  state.budgets.set(key, made);
  return made;
}

/**
 * The most that anybody may yet grant under a budget; 0 when nothing limits it. A rollout whose channel is gone stays as
 * it ended and grants nothing, for its signatures went stale with it: what it allowed is no measure for others.
 */
export function highest(state: FleetState, budget: BudgetState): number {
  const { content } = state;
  if (budget.most?.content === content) return budget.most.limit;
  let limit = 0;
  for (const [pinned, ids] of budget.granting)
    if (pinned > limit && isAnyDeclared(state, ids)) limit = pinned;
  budget.most = { content, limit };
  return limit;
}

function isAnyDeclared({ content, rollouts }: FleetState, ids: ReadonlySet<string>): boolean {
  if (content === null) return true;
  for (const id of ids) {
    const channel = rollouts.get(id)?.row.channel;
    if (channel !== undefined && content.channels.has(channel)) return true;
  }
  return false;
}

/** May grant, or granted what is in flight still. One that is through does while somebody may return to it. */
function countsLimits({ row, waves, inFlight }: RolloutState): boolean {
  if (row.state !== 'Terminal') return dispatches(row.state);
  return inFlight > 0 || waves.some(({ pending }) => pending.size > 0);
}

/** Enters the limits that a rollout pinned when they count, and takes them out when they no longer do, or it is gone. */
export function pinLimits(state: FleetState, rollout: RolloutState, isGone = false): void {
  const enters = !isGone && countsLimits(rollout);
  if (enters === rollout.isPinned) return;
  rollout.isPinned = enters;
  const { rolloutId, plan } = rollout.row;
  state.dirty.progress.add(rolloutId);
  plan.budgets.forEach((budget, index) => {
    const limit = limitOf(budget);
    if (limit === null) return;
    const shared = budgetState(state, rollout, index);
    const most = highest(state, shared);
    pin(shared.granting, limit, rolloutId, enters);
    shared.most = null;
    if (highest(state, shared) !== most) noteLimits(state, shared);
  });
}

function pin(pinned: BudgetState['granting'], limit: number, id: string, enters: boolean): void {
  const ids = pinned.get(limit) ?? new Set<string>();
  if (enters) ids.add(id);
  else ids.delete(id);
  if (ids.size === 0) pinned.delete(limit);
  else pinned.set(limit, ids);
}

/** Moving, or granted and not yet acknowledged. */
export function countsInFlight(rollout: RolloutState, hostname: string): boolean {
  const record = rollout.records.get(hostname);
  if (record === undefined) return false;
  if (isMoving(record)) return true;
  return isWaiting(record) && rollout.dispatches.has(hostname);
}

/** Counts a host in or out, when `held` (whether it counted before) no longer is true. */
export function updateInFlight(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  held: boolean,
): void {
  const holds = countsInFlight(rollout, hostname);
  if (holds !== held) rollout.inFlight += holds ? 1 : -1;
  if (rollout.row.state === 'Terminal') pinLimits(state, rollout);
  const indexes = holds === held ? undefined : rollout.hostBudgets.get(hostname);
  if (indexes === undefined) return;
  const keys = new Set<string>();
  for (const index of indexes) {
    const budget = budgetState(state, rollout, index);
    if (keys.has(budget.key)) continue;
    keys.add(budget.key);
    countHost(state, budget, hostname, holds ? 1 : -1);
  }
}

function countHost(state: FleetState, budget: BudgetState, hostname: string, by: 1 | -1): void {
  const before = budget.inFlight.size;
  const count = (budget.inFlight.get(hostname) ?? 0) + by;
  if (count === 0) budget.inFlight.delete(hostname);
  else budget.inFlight.set(hostname, count);
  const after = budget.inFlight.size;
  if (after < before) state.dirty.budgets.add(budget.key);
  // A limit is exceeded from here on, or no longer: whoever may grant must say so.
  const crossed = Math.min(before, after);
  if (after === before || !budget.granting.has(crossed)) return;
  if (crossed >= highest(state, budget)) noteLimits(state, budget);
  if (after < before) state.dirty.eased.add(budget.key);
}

/** Whoever pinned a limit looks again at whether it is exceeded. */
function noteLimits(state: FleetState, { granting }: BudgetState): void {
  for (const ids of granting.values()) for (const id of ids) state.dirty.progress.add(id);
}

/** Enters a host into the queue of the budget that alone holds it, or takes it out. */
export function setWaiting(
  state: FleetState,
  rollout: RolloutState,
  row: BlockerRow | null,
  waits: boolean,
): void {
  const gate = row?.gates.length === 1 ? row.gates[0] : undefined;
  if (row === null || gate === undefined || !gate.startsWith(BUDGET_GATE)) return;
  const queue = rollout.waiters[Number(gate.slice(BUDGET_GATE.length))];
  if (queue === undefined) return;
  if (waits) queue.add(row.hostname, rollout.records.get(row.hostname)?.wave ?? 0);
  else queue.remove(row.hostname);
  noteQueue(state, rollout, queue);
}

/** A budget knows the queues in which somebody waits. */
export function noteQueue(state: FleetState, rollout: RolloutState, queue: WaiterQueue): void {
  const { queues } = budgetState(state, rollout, queue.index);
  if (queue.size > 0) queues.add(queue);
  else queues.delete(queue);
}
