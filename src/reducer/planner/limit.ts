/** How many hosts a disruption budget lets be in flight at once. */
import type { BudgetContent } from '../content.ts';

/** A count, or a share of the budget's hosts, at least one; the lower of both. Null: no limit. */
export function limitOf(budget: Omit<BudgetContent, 'selector'>): number | null {
  const share =
    budget.maxInFlightPct === null
      ? null
      : Math.max(1, Math.floor((budget.hosts.length * budget.maxInFlightPct) / 100));
  if (share === null) return budget.maxInFlight;
  return budget.maxInFlight === null ? share : Math.min(budget.maxInFlight, share);
}
