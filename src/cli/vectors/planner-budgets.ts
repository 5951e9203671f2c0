/** Budgets from a recorded situation's rows alone, as the original counts and as this core does, and between. */
import { selectorKey } from '../../reducer/planner/pin.ts';
import { isGranted, isRollingBack, rolloutOf, type Host } from './planner-facts.ts';
import type { Held } from './planner-gates.ts';
import type { Named } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

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
    // The original counts a host once for every rollout, and a grant once for every budget.
    name: DISTINCT,
    why: "budgets: 'distinct hosts', and 'granting a host that is already in flight adds nothing'",
  },
];

/** How hosts are counted by those of the rules that are on. */
export class Slots {
  private readonly line: PlannerLine;
  private readonly on: ReadonlySet<string>;
  private readonly known = new Map<string, readonly string[]>();

  constructor(line: PlannerLine, on: ReadonlySet<string>) {
    this.line = line;
    this.on = on;
  }

  /** The first budget that has no room for the host after these grants, in the original's words. */
  full(host: Host, grants: readonly Host[]): Held | undefined {
    for (const budget of budgetsOf(this.line, host)) {
      const limit = this.limitOf(budget);
      if (limit === null) continue;
      const { count, isIn } = this.count(selectorKey(budget.selector), host, grants);
      if (isIn ? count <= limit : count < limit) continue;
      const numbers = `${String(count)}/${String(limit)} in flight (${summary(budget)})`;
      return { gate: 'disruption-budget', reason: `disruption-budget: ${numbers}` };
    }
    return undefined;
  }

  private count(key: string, host: Host, grants: readonly Host[]) {
    const moving = this.movingUnder(key);
    const granted = grants.flatMap((grant) =>
      budgetsUnder(this.line, grant, key).map(() => grant.hostname),
    );
    const all = [...moving, ...granted];
    if (!this.on.has(DISTINCT)) return { count: all.length, isIn: false };
    return { count: new Set(all).size, isIn: all.includes(host.hostname) };
  }

  /** Once for every rollout in which a host moves. */
  private movingUnder(key: string): readonly string[] {
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const found = this.line.hosts.filter((host) => this.isMoving(host) && this.isUnder(host, key));
    const names = found.map(({ hostname }) => hostname);
    this.known.set(key, names);
    return names;
  }

  /** Of several budgets of a rollout with one selector, the original asks the first who is in it. */
  private isUnder(host: Host, key: string): boolean {
    const budgets = rolloutOf(this.line, host).budgets.filter(
      ({ selector }) => selectorKey(selector) === key,
    );
    const asked = this.on.has(DISTINCT) ? budgets : budgets.slice(0, 1);
    return asked.some(({ hosts }) => hosts.includes(host.hostname));
  }

  private isMoving(host: Host): boolean {
    if (host.state === 'Activating' || host.state === 'Soaking') return true;
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

/** Ten hosts for five slots come to 638; the time taken grows faster than the sets, and doubles with each host. */
const MOST_SETS = 2_000;

/** Every set of grants that asking these hosts in any order can come to, from `first` on. */
export function reachable(
  candidates: readonly Host[],
  slots: Slots,
  first: readonly Host[],
): readonly (readonly Host[])[] {
  const found = [first];
  const seen = new Set<string>();
  for (const now of found) {
    for (const host of candidates) {
      if (now.includes(host) || slots.full(host, now) !== undefined) continue;
      const next = new Set([...now, host]);
      const key = candidates.map((candidate) => (next.has(candidate) ? 1 : 0)).join('');
      if (!seen.has(key)) found.push([...next]);
      seen.add(key);
      if (found.length > MOST_SETS) {
        throw new Error(`not compared: over ${String(MOST_SETS)} sets of grants are possible`);
      }
    }
  }
  return found;
}

/** The host's budgets with this selector. */
export function budgetsUnder(line: PlannerLine, host: Host, key: string): readonly Budget[] {
  return budgetsOf(line, host).filter(({ selector }) => selectorKey(selector) === key);
}

function budgetsOf(line: PlannerLine, host: Host): readonly Budget[] {
  return rolloutOf(line, host).budgets.filter(({ hosts }) => hosts.includes(host.hostname));
}

function summary({ selector: { all, channel, hosts, tags, tagsAny } }: Budget): string {
  const lists = { tags, tags_any: tagsAny, hosts };
  const parts = Object.entries(lists).flatMap(([name, list]) =>
    list.length === 0 ? [] : [`${name}:${[...list].sort().join(',')}`],
  );
  return [
    ...(all ? ['all'] : []),
    ...(channel === null ? [] : [`channel:${channel}`]),
    ...parts,
  ].join(';');
}
