/**
 * What a recorded situation says by itself of who is in flight, worked out from its rows alone: were this core's own
 * counters asked, a rule would excuse whatever they got wrong.
 */
import { selectorKey } from '../../reducer/planner/pin.ts';
import type { PlannerLine } from './shapes.ts';

type Host = PlannerLine['hosts'][number];
type Rollout = PlannerLine['rollouts'][number];
type Budget = Rollout['budgets'][number];

/** Hosts that were granted earlier in the same plan, by rollout. */
export type Grants = readonly Pick<Host, 'rolloutId' | 'hostname'>[];

/** Switching, or failed and on its way back. */
export function isBusyElsewhere(line: PlannerLine, host: Host): boolean {
  return line.hosts.some(
    (other) =>
      other.hostname === host.hostname &&
      other.rolloutId !== host.rolloutId &&
      (other.state === 'Activating' || isRollingBack(line, other)),
  );
}

/** Whether one of the host's budgets is full, by this limit and for those who count. */
export function isAnyBudgetFull(
  line: PlannerLine,
  host: Host,
  limit: (budget: Budget) => number | null,
  inFlight: (budget: Budget) => ReadonlySet<string>,
): boolean {
  const budgets = rolloutOf(line, host.rolloutId)?.budgets ?? [];
  return budgets.some((budget) => {
    const most = budget.hosts.includes(host.hostname) ? limit(budget) : null;
    if (most === null) return false;
    const flying = inFlight(budget);
    return flying.has(host.hostname) ? flying.size > most : flying.size >= most;
  });
}

/** The original knows absolute limits only. */
export function absoluteLimit({ maxInFlight }: Budget): number | null {
  return maxInFlight ?? null;
}

/** The lower of the absolute limit and the share, which is at least one. */
export function lowerLimit({ hosts, maxInFlight, maxInFlightPct }: Budget): number | null {
  const share = maxInFlightPct == null ? null : Math.floor((hosts.length * maxInFlightPct) / 100);
  const limits = [maxInFlight, share === null ? null : Math.max(1, share)].filter(
    (limit) => limit != null,
  );
  return limits.length === 0 ? null : Math.min(...limits);
}

/** Everybody who moves, or was granted and has not acknowledged, under equal selectors. */
export function everybodyInFlight(line: PlannerLine, grants: Grants) {
  return (budget: Budget) =>
    counted(line, budget, (host) => {
      const isGranted = host.state === 'Pending' && host.dispatchAckedAt != null;
      return isGranted || isRunning(host) || isRollingBack(line, host) || isIn(grants, host);
    });
}

/** Whom the original counts: those who run, and those it granted itself in this plan. */
export function inFlightOriginally(line: PlannerLine, grants: Grants) {
  return (budget: Budget) => counted(line, budget, (host) => isRunning(host) || isIn(grants, host));
}

function counted(
  line: PlannerLine,
  { selector }: Budget,
  counts: (host: Host) => boolean,
): ReadonlySet<string> {
  const key = selectorKey(selector);
  const found = new Set<string>();
  for (const host of line.hosts) {
    const isUnder = rolloutOf(line, host.rolloutId)?.budgets.some(
      (budget) => selectorKey(budget.selector) === key && budget.hosts.includes(host.hostname),
    );
    if (isUnder === true && counts(host)) found.add(host.hostname);
  }
  return found;
}

function isRunning({ state }: Host): boolean {
  return state === 'Activating' || state === 'Soaking';
}

function isRollingBack(line: PlannerLine, { state, rolloutId }: Host): boolean {
  const channel = rolloutOf(line, rolloutId)?.channel ?? '';
  const policy = line.fleet.rolloutPolicies[line.fleet.channels[channel]?.rolloutPolicy ?? ''];
  return state === 'Failed' && policy?.onHealthFailure === 'rollback-and-halt';
}

function isIn(grants: Grants, { rolloutId, hostname }: Host): boolean {
  return grants.some((grant) => grant.rolloutId === rolloutId && grant.hostname === hostname);
}

function rolloutOf({ rollouts }: PlannerLine, rolloutId: string): Rollout | undefined {
  return rollouts.find((rollout) => rollout.rolloutId === rolloutId);
}
