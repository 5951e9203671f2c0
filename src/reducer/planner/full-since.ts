/**
 * Since when a budget is full. No row says so, since a slot that is taken or freed is no news to a thousand hosts;
 * it is read off the rows that there are, so that every reader and every later leader says the same. Two of them
 * bear witness, and the older one is told: the hosts in flight, from when they surely were, and the hosts that wait
 * for nothing but a slot, which was free at no time since. Neither tells more than was; both may tell less.
 */
import { budgetState, countsInFlight } from '../state/flight.ts';
import { sinceOf } from '../state/blocker-since.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { RecordRow } from '../state/rows.ts';
import type { Settings } from '../settings.ts';
import { millisOf, MINUTE, type Time } from '../time.ts';
import { limitOf } from './limit.ts';

/** Of a rollout's budget number `index`, for this host; null when it has room for it. */
export function fullSince(
  state: FleetState,
  rollout: RolloutState,
  index: number,
  hostname: string,
): Time | null {
  const budget = rollout.row.plan.budgets[index];
  const limit = budget === undefined ? null : limitOf(budget);
  if (budget === undefined || limit === null) return null;
  const { inFlight } = budgetState(state, rollout, index);
  // Who is in flight already adds nothing: it waits only while there are too many.
  const needed = inFlight.has(hostname) ? limit + 1 : limit;
  if (inFlight.size < needed) return null;
  const { openedAt } = rollout.row;
  if (needed === 0) return openedAt;
  const begun = [...inFlight.keys()].map((name) => inFlightSince(state, budget.key, name)).sort();
  const reached = earlier(begun[needed - 1] ?? null, waitingSince(state, budget.key, needed));
  return reached === null || reached < openedAt ? openedAt : reached;
}

function earlier(a: Time | null, b: Time | null): Time | null {
  return a === null || (b !== null && b < a) ? b : a;
}

/** The longest that anybody waits for a slot of this budget where it allows as many, or more. */
function waitingSince(state: FleetState, key: string, needed: number): Time | null {
  let longest: Time | null = null;
  for (const queue of state.budgets.get(key)?.queues ?? []) {
    const rollout = state.live.get(queue.rolloutId);
    const budget = rollout?.row.plan.budgets[queue.index];
    if (rollout === undefined || budget === undefined || (limitOf(budget) ?? 0) < needed) continue;
    for (const hostname of queue.hostnames()) {
      const noted = rollout.blockers.get(hostname);
      const [gate] = noted?.gates ?? [];
      if (noted !== undefined && gate !== undefined)
        longest = earlier(longest, sinceOf(noted, gate));
    }
  }
  return longest;
}

/** Under this budget, in whichever of its rollouts it began first. */
function inFlightSince(state: FleetState, key: string, hostname: string): Time {
  let first: Time | null = null;
  for (const id of state.hosts.get(hostname)?.open ?? []) {
    const rollout = state.rollouts.get(id);
    if (rollout === undefined || !isUnder(rollout, key, hostname)) continue;
    if (countsInFlight(rollout, hostname))
      first = earlier(first, begunIn(rollout, hostname, state.settings));
  }
  return first ?? NEVER;
}

/** Later than any time: what nobody can date makes no budget full for longer. */
const NEVER: Time = '9999-12-31T23:59:59.999Z';

function isUnder({ row, hostBudgets }: RolloutState, key: string, hostname: string): boolean {
  return (hostBudgets.get(hostname) ?? []).some((index) => row.plan.budgets[index]?.key === key);
}

function begunIn(rollout: RolloutState, hostname: string, settings: Settings): Time {
  const record = rollout.records.get(hostname);
  const granted = rollout.dispatches.get(hostname)?.enqueuedAt ?? null;
  if (record === undefined) return NEVER;
  return (record.state === 'Pending' ? granted : movingSince(record, settings)) ?? NEVER;
}

/**
 * Not from its grant: a dispatch may have been taken back before it was acknowledged, and a host that waited for a
 * reboot was not in flight meanwhile. From its last word on, or from its completion where it soaks.
 */
function movingSince(record: RecordRow, { moveGraceMinutes }: Settings): Time | null {
  const { lastAcceptedAt, completedAppliedAt, soakDueAt, state, synthesisedAt } = record;
  const last = lastAcceptedAt ?? synthesisedAt;
  if (state !== 'Soaking' || completedAppliedAt === null || last === null) return last;
  // So late a word may have ended a silence in which it did not count (`moving.ts`).
  const due = soakDueAt === null ? 0 : millisOf(soakDueAt) + moveGraceMinutes * MINUTE;
  return millisOf(last) >= due && last > completedAppliedAt ? last : completedAppliedAt;
}
