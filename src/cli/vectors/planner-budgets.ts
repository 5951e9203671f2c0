/** Budgets from a recorded situation's rows alone, as the original counts and as this core does, and between. */
import { selectorKey } from '../../reducer/planner/pin.ts';
import { isGranted, isRollingBack, rolloutOf, type Host } from './planner-facts.ts';
import type { Held } from './planner-gates.ts';
import type { Named } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

type Budget = PlannerLine['rollouts'][number]['budgets'][number];

/** A budget that a host is in, by the key of its selector, with its limit; null for none. */
export interface Ask {
  readonly key: string;
  readonly limit: number | null;
  readonly budget: Budget;
}

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

/** Who counts under a selector: a name as often as the original counts it. */
interface Tally {
  readonly names: Set<string>;
  times: number;
}

/** How hosts are counted by those of the rules that are on, grant by grant. */
export class Slots {
  private readonly line: PlannerLine;
  private readonly on: ReadonlySet<string>;
  private readonly asks = new Map<Host, readonly Ask[]>();
  private readonly tallies = new Map<string, Tally>();

  constructor(line: PlannerLine, on: ReadonlySet<string>) {
    this.line = line;
    this.on = on;
  }

  /** The first budget that has no room for the host after the grants so far, in the original's words. */
  full(host: Host): Held | undefined {
    for (const ask of this.asksOf(host)) {
      if (ask.limit === null) continue;
      const count = this.countOf(ask.key);
      const isIn = this.on.has(DISTINCT) && this.tallyOf(ask.key).names.has(host.hostname);
      if (isIn ? count > ask.limit : count >= ask.limit) return heldBy(ask, count);
    }
    return undefined;
  }

  grant(host: Host): void {
    for (const { key } of this.asksOf(host)) count(this.tallyOf(key), host.hostname);
  }

  /** How many count under a selector now. */
  countOf(key: string): number {
    const { names, times } = this.tallyOf(key);
    return this.on.has(DISTINCT) ? names.size : times;
  }

  asksOf(host: Host): readonly Ask[] {
    const known = this.asks.get(host);
    if (known !== undefined) return known;
    const asks = budgetsOf(this.line, host).map((budget) => ({
      ...{ key: keyOf(budget), limit: this.limitOf(budget), budget },
    }));
    this.asks.set(host, asks);
    return asks;
  }

  /** At first those that move already: once for every rollout in which a host does. */
  private tallyOf(key: string): Tally {
    const known = this.tallies.get(key);
    if (known !== undefined) return known;
    const tally: Tally = { names: new Set(), times: 0 };
    for (const host of this.line.hosts) {
      if (this.isMoving(host) && this.isUnder(host, key)) count(tally, host.hostname);
    }
    this.tallies.set(key, tally);
    return tally;
  }

  /** Of several budgets of a rollout with one selector, the original asks the first who is in it. */
  private isUnder(host: Host, key: string): boolean {
    const budgets = rolloutOf(this.line, host).budgets.filter((budget) => keyOf(budget) === key);
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

/** What a budget says when it has no room. */
export function heldBy({ budget, limit }: Ask, count: number): Held {
  const numbers = `${String(count)}/${String(limit)} in flight (${summaryOf(budget)})`;
  return { gate: 'disruption-budget', reason: `disruption-budget: ${numbers}` };
}

/** Selectors may name every host of a fleet, and are asked for at every one of them. */
const KEYS = new WeakMap<Budget, string>();
const SUMMARIES = new WeakMap<Budget, string>();

function keyOf(budget: Budget): string {
  const key = KEYS.get(budget) ?? selectorKey(budget.selector);
  KEYS.set(budget, key);
  return key;
}

function summaryOf(budget: Budget): string {
  const summary = SUMMARIES.get(budget) ?? summarize(budget);
  SUMMARIES.set(budget, summary);
  return summary;
}

/** Whether the host is in a budget with this selector. */
export function isUnderKey(line: PlannerLine, host: Host, key: string): boolean {
  return budgetsOf(line, host).some((budget) => keyOf(budget) === key);
}

function count(tally: Tally, hostname: string): void {
  tally.names.add(hostname);
  tally.times += 1;
}

function budgetsOf(line: PlannerLine, host: Host): readonly Budget[] {
  return rolloutOf(line, host).budgets.filter(({ hosts }) => hosts.includes(host.hostname));
}

function summarize({ selector: { all, channel, hosts, tags, tagsAny } }: Budget): string {
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
