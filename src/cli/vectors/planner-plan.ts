/** Plans of a recorded situation: this core's own, and what it would be with only some of the deliberate differences. */
import { disruptionBudget } from '../../reducer/planner/gates/disruption-budget.ts';
import type { Held as Asked } from '../../reducer/planner/gates/gate.ts';
import { gatesHolding, heldAt } from '../../reducer/planner/gates.ts';
import { BUDGET_RULES, reachable, Slots } from './planner-budgets.ts';
import { isGranted, type Host } from './planner-facts.ts';
import { GATE_RULES, gateOf, ORDER, type Held } from './planner-gates.ts';
import { grant, nowOf, stateOf, waveOf } from './planner-state.ts';
import type { PlannerLine } from './shapes.ts';

/** Each host that is spoken of: null when it is dispatched, or what holds it. */
export type Plan = ReadonlyMap<Host, Held | null>;

/** A Pending host without a dispatch, as this core's gates are asked of it. */
export interface Case {
  readonly host: Host;
  readonly asked: Asked;
}

export const PLAN_RULES: readonly string[] = [...GATE_RULES, ...BUDGET_RULES].map(
  ({ name }) => name,
);

/** The hosts that may be dispatched, in this core's order. */
export function casesOf(line: PlannerLine): readonly Case[] {
  const state = stateOf(line);
  const rank = ({ rolloutId, hostname }: Host): Rank => {
    const rollout = state.rollouts.get(rolloutId)?.row;
    const wave = waveOf(line, rolloutId, rollout?.channel ?? '', hostname);
    return [rollout?.channel ?? '', rollout?.ordinal ?? 0, wave, hostname];
  };
  return line.hosts
    .filter((host) => host.state === 'Pending' && !isGranted(host))
    .sort((a, b) => compare(rank(a), rank(b)))
    .map((host) => {
      const asked = heldAt(state, host.rolloutId, host.hostname, nowOf(line));
      if (asked === null) throw new Error(`planner ${line.id}: no record of ${host.hostname}`);
      return { host, asked };
    });
}

/** This core's own answers: its gates and its budgets, on its own state, grant by grant. */
export function planOf(line: PlannerLine, cases: readonly Case[]): Plan {
  const plan = new Map<Host, Held | null>();
  for (const { host, asked } of cases) {
    // It names all gates that hold, and asks budgets last: which is no difference in what happens.
    const keys = new Set([...gatesHolding(asked), ...disruptionBudget.keys(asked)]);
    const names = [...keys].map((key) => key.replace(/:.*/, ''));
    const [gate] = names.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
    plan.set(host, gate === undefined ? null : { gate, reason: '' });
    if (gate !== undefined) continue;
    const { channel } = asked.rollout.row;
    grant(asked.state, host.rolloutId, host.hostname, channel, host.targetClosure, line.now);
  }
  return plan;
}

/** The same from the rows alone, in the same order, with only these rules. */
export function planWith(line: PlannerLine, cases: readonly Case[], on: ReadonlySet<string>): Plan {
  const slots = new Slots(line, on);
  const plan = new Map<Host, Held | null>();
  const grants: Host[] = [];
  for (const { host } of cases) {
    const gate = gateOf(line, host, on);
    if (gate === 'silent') continue;
    const held = answer(gate, slots.full(host, grants));
    plan.set(host, held);
    if (held === null) grants.push(host);
  }
  return plan;
}

/**
 * The original's plans, with none of the rules: rollouts in any order, and the hosts of each in any order. Hosts that
 * are refused may have been asked before any grant that they could have come before.
 */
export function anyOrder(line: PlannerLine, cases: readonly Case[]): readonly Plan[] {
  const slots = new Slots(line, new Set());
  const asked = cases.flatMap(({ host }) => {
    const gate = gateOf(line, host, new Set());
    return gate === 'silent' ? [] : [{ host, gate }];
  });
  const ids = [...new Set(asked.map(({ host }) => host.rolloutId))];
  return orders(ids).flatMap((order) => {
    let plans: readonly Open[] = [{ plan: new Map(), grants: [] }];
    for (const id of order) {
      const mine = asked.filter(({ host }) => host.rolloutId === id);
      plans = plans.flatMap((open) => continued(open, mine, slots));
    }
    return plans.map(({ plan }) => plan);
  });
}

interface Open {
  readonly plan: Plan;
  readonly grants: readonly Host[];
}

interface Candidate {
  readonly host: Host;
  readonly gate: Held | undefined;
}

/** A plan after one more rollout: once for every end, and for every state in which those refused may have been asked. */
function continued({ plan, grants }: Open, mine: readonly Candidate[], slots: Slots): Open[] {
  const free = mine.filter(({ gate }) => gate === undefined).map(({ host }) => host);
  const states = reachable(free, slots, grants);
  const isEnd = (state: readonly Host[]) =>
    free.every((host) => state.includes(host) || slots.full(host, state) !== undefined);
  return states.filter(isEnd).flatMap((end) => {
    const isGrantedAll = mine.every(({ host }) => end.includes(host));
    const before = isGrantedAll
      ? [end]
      : states.filter((state) => state.every((host) => end.includes(host)));
    return before.map((state) => {
      const answers = mine.map(({ host, gate }) => {
        const granted = end.includes(host);
        // Who is refused in the end, but was not yet then, was asked later.
        const full =
          slots.full(host, state) ?? (gate === undefined ? slots.full(host, end) : undefined);
        return [host, granted ? null : answer(gate, full)] as const;
      });
      return { plan: new Map([...plan, ...answers]), grants: end };
    });
  });
}

/** The first of both in the original's order; null when neither holds. */
function answer(gate: Held | undefined, full: Held | undefined): Held | null {
  if (gate === undefined || full === undefined) return gate ?? full ?? null;
  return ORDER.indexOf(gate.gate) < ORDER.indexOf(full.gate) ? gate : full;
}

function orders(ids: readonly string[]): readonly (readonly string[])[] {
  if (ids.length === 0) return [[]];
  return ids.flatMap((id) =>
    orders(ids.filter((other) => other !== id)).map((rest) => [id, ...rest]),
  );
}

type Rank = readonly [string, number, number, string];

function compare(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] - b[1] || a[2] - b[2] || (a[3] < b[3] ? -1 : 1);
}
