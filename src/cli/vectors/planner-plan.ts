/** Plans of a recorded situation: this core's own, and what it would be with only some of the deliberate differences. */
import { complianceBeyond } from '../../reducer/planner/gates/compliance-wave.ts';
import { disruptionBudget } from '../../reducer/planner/gates/disruption-budget.ts';
import type { Held as Asked } from '../../reducer/planner/gates/gate.ts';
import { gatesHolding, heldAt } from '../../reducer/planner/gates.ts';
import { BUDGET_RULES, Slots } from './planner-budgets.ts';
import { isGranted, type Host } from './planner-facts.ts';
import { GATE_RULES, gateOf, ORDER, type Held } from './planner-gates.ts';
import { answer } from './planner-orders.ts';
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
    .map((host) => ({ host, rank: rank(host) }))
    .sort((a, b) => compare(a.rank, b.rank))
    .map(({ host }) => {
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
    const keys = new Set([
      ...gatesHolding(asked),
      ...disruptionBudget.keys(asked),
      ...complianceBeyond(asked),
    ]);
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
  for (const { host } of cases) {
    const gate = gateOf(line, host, on);
    if (gate === 'silent') continue;
    const held = answer(gate, slots.full(host));
    plan.set(host, held);
    if (held === null) slots.grant(host);
  }
  return plan;
}

type Rank = readonly [string, number, number, string];

function compare(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] - b[1] || a[2] - b[2] || (a[3] < b[3] ? -1 : 1);
}
