/** Plans of a recorded situation: this core's own, and what it would be with only some of the deliberate differences. */
import { disruptionBudget } from '../../reducer/planner/gates/disruption-budget.ts';
import { gatesHolding, heldAt } from '../../reducer/planner/gates.ts';
import { BUDGET_RULES, ends, isGranted, Slots, type Host } from './planner-budgets.ts';
import { GATE_RULES, gateOf, type Case } from './planner-rules.ts';
import { grant, nowOf, stateOf, waveOf } from './planner-state.ts';
import type { PlannerLine } from './shapes.ts';

/** Each host that is spoken of: `QueueDispatch`, or `DeferDispatch:` and the gate. */
export type Plan = ReadonlyMap<Host, string>;

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
      const held = heldAt(state, host.rolloutId, host.hostname, nowOf(line));
      if (held === null) throw new Error(`planner ${line.id}: no record of ${host.hostname}`);
      const gates = new Set(gatesHolding(held).map((key) => key.replace(/:.*/, '')));
      gates.delete(disruptionBudget.name);
      return { line, host, held, gates };
    });
}

/** This core's own answers: its gates and its budgets, on its own state, grant by grant. */
export function planOf(line: PlannerLine, cases: readonly Case[]): Plan {
  const plan = new Map<Host, string>();
  const every = new Set(PLAN_RULES);
  for (const found of cases) {
    const { host, held } = found;
    const isFull = found.gates.size === 0 && disruptionBudget.keys(held).length > 0;
    const gate = isFull ? disruptionBudget.name : gateOf(found, every);
    plan.set(host, answer(gate));
    if (gate !== null) continue;
    const { channel } = held.rollout.row;
    grant(held.state, host.rolloutId, host.hostname, channel, host.targetClosure, line.now);
  }
  return plan;
}

/** The same from the rows alone, in the same order, with only these rules. */
export function planWith(line: PlannerLine, cases: readonly Case[], on: ReadonlySet<string>): Plan {
  const slots = new Slots(line, on);
  const plan = gated(cases, on);
  const grants: Host[] = [];
  for (const { host } of cases) {
    if (plan.get(host) !== QUEUED) continue;
    if (slots.hasRoom(host, grants)) grants.push(host);
    else plan.set(host, answer(disruptionBudget.name));
  }
  return plan;
}

/** With none of the rules, in every order. */
export function anyOrder(line: PlannerLine, cases: readonly Case[]): readonly Plan[] {
  const none = new Set<string>();
  const plan = gated(cases, none);
  const candidates = [...plan].flatMap(([host, found]) => (found === QUEUED ? [host] : []));
  return ends(candidates, new Slots(line, none)).map((grants) => {
    const refused = candidates.filter((host) => !grants.includes(host));
    return new Map([
      ...plan,
      ...refused.map((host) => [host, answer(disruptionBudget.name)] as const),
    ]);
  });
}

/** Before budgets are asked. */
function gated(cases: readonly Case[], on: ReadonlySet<string>): Map<Host, string> {
  const plan = new Map<Host, string>();
  for (const found of cases) {
    const gate = gateOf(found, on);
    if (gate !== 'silent') plan.set(found.host, answer(gate));
  }
  return plan;
}

const QUEUED = 'QueueDispatch';

function answer(gate: string | null): string {
  return gate === null ? QUEUED : `DeferDispatch:${gate}`;
}

type Rank = readonly [string, number, number, string];

function compare(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] - b[1] || a[2] - b[2] || (a[3] < b[3] ? -1 : 1);
}
