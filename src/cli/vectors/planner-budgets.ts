/**
 * Budgets, worked out from a recorded situation's rows alone, as the original counts and as this core does: were this
 * core's own counters asked, a rule would excuse whatever they got wrong.
 */
import { selectorKey } from '../../reducer/planner/pin.ts';
import type { Named } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

export type Host = PlannerLine['hosts'][number];
type Budget = PlannerLine['rollouts'][number]['budgets'][number];

const PERCENTAGES = 'percentage-budgets-count';
const EVERYBODY = 'granted-and-rolling-back-hosts-count';
const DISTINCT = 'budgets-count-distinct-hosts';

export const BUDGET_RULES: readonly Named[] = [
  { name: PERCENTAGES, why: 'list of differences: percentage budgets count' },
  {
    name: EVERYBODY,
    why: 'list of differences: granted-unacked and rolling-back hosts count as in flight',
  },
  {
    name: DISTINCT,
    why: "budgets: 'distinct hosts', and 'granting a host that is already in flight adds nothing'",
  },
];

/** How hosts are counted by those of the rules that are on. */
export class Slots {
  private readonly line: PlannerLine;
  private readonly on: ReadonlySet<string>;
  private readonly moving = new Map<string, ReadonlySet<string>>();

  constructor(line: PlannerLine, on: ReadonlySet<string>) {
    this.line = line;
    this.on = on;
  }

  /** Whether every budget of the host lets it move, after these grants. */
  hasRoom(host: Host, grants: readonly Host[]): boolean {
    return this.full(host, grants) === undefined;
  }

  /** The first budget that does not, with its count and limit. */
  full(host: Host, grants: readonly Host[]) {
    for (const budget of budgetsOf(this.line, host)) {
      const limit = this.limitOf(budget);
      if (limit === null) continue;
      const { count, isIn } = this.count(selectorKey(budget.selector), host, grants);
      if (isIn ? count > limit : count >= limit) return { budget, count, limit };
    }
    return undefined;
  }

  private count(key: string, host: Host, grants: readonly Host[]) {
    const moving = this.movingUnder(key);
    if (!this.on.has(DISTINCT)) {
      const granted = grants.flatMap((grant) => budgetsUnder(this.line, grant, key));
      return { count: moving.size + granted.length, isIn: false };
    }
    const flying = new Set(moving);
    for (const grant of grants) {
      if (budgetsUnder(this.line, grant, key).length > 0) flying.add(grant.hostname);
    }
    return { count: flying.size, isIn: flying.has(host.hostname) };
  }

  private movingUnder(key: string): ReadonlySet<string> {
    const known = this.moving.get(key);
    if (known !== undefined) return known;
    const found = this.line.hosts.filter(
      (host) => this.isMoving(host) && budgetsUnder(this.line, host, key).length > 0,
    );
    const names = new Set(found.map(({ hostname }) => hostname));
    this.moving.set(key, names);
    return names;
  }

  private isMoving(host: Host): boolean {
    const { state } = host;
    if (state === 'Activating' || state === 'Soaking') return true;
    return this.on.has(EVERYBODY) && (isGranted(host) || isRollingBack(this.line, host));
  }

  /** The lower of the absolute limit and the share, which is at least one. */
  private limitOf({ hosts, maxInFlight, maxInFlightPct }: Budget): number | null {
    const absolute = maxInFlight ?? null;
    if (!this.on.has(PERCENTAGES) || maxInFlightPct == null) return absolute;
    const share = Math.max(1, Math.floor((hosts.length * maxInFlightPct) / 100));
    return absolute === null ? share : Math.min(absolute, share);
  }
}

/**
 * Where plans may end that ask these hosts in any order: each as the hosts that it granted. Who was refused once
 * stays refused, so that an end is where nobody who is left has room.
 */
export function ends(candidates: readonly Host[], slots: Slots): readonly (readonly Host[])[] {
  const found: (readonly Host[])[] = [];
  const seen = new Set<string>();
  const open: (readonly Host[])[] = [[]];
  for (let grants = open.pop(); grants !== undefined; grants = open.pop()) {
    const now = grants;
    const free = candidates.filter((host) => !now.includes(host) && slots.hasRoom(host, now));
    if (free.length === 0) found.push(now);
    for (const host of free) {
      const next = candidates.filter((candidate) => candidate === host || now.includes(candidate));
      const key = next.map((granted) => candidates.indexOf(granted)).join();
      if (!seen.has(key)) open.push(next);
      seen.add(key);
    }
  }
  return found;
}

export function isGranted({ state, dispatchAckedAt }: Host): boolean {
  return state === 'Pending' && dispatchAckedAt != null;
}

/** Switching in another rollout, or failed there and on its way back. */
export function isBusyElsewhere(line: PlannerLine, host: Host): boolean {
  return line.hosts.some(
    (other) =>
      other.hostname === host.hostname &&
      other.rolloutId !== host.rolloutId &&
      (other.state === 'Activating' || isRollingBack(line, other)),
  );
}

function isRollingBack(line: PlannerLine, { state, rolloutId }: Host): boolean {
  const channel = rolloutOf(line, rolloutId)?.channel ?? '';
  const policy = line.fleet.rolloutPolicies[line.fleet.channels[channel]?.rolloutPolicy ?? ''];
  return state === 'Failed' && policy?.onHealthFailure === 'rollback-and-halt';
}

/** The host's budgets with this selector. */
export function budgetsUnder(line: PlannerLine, host: Host, key: string): readonly Budget[] {
  return budgetsOf(line, host).filter(({ selector }) => selectorKey(selector) === key);
}

function budgetsOf(line: PlannerLine, { rolloutId, hostname }: Host): readonly Budget[] {
  const budgets = rolloutOf(line, rolloutId)?.budgets ?? [];
  return budgets.filter(({ hosts }) => hosts.includes(hostname));
}

function rolloutOf({ rollouts }: PlannerLine, rolloutId: string) {
  return rollouts.find((rollout) => rollout.rolloutId === rolloutId);
}
