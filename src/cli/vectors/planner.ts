/**
 * The planner against its recorded results: which rollouts open, and for every host of a situation whether it is
 * dispatched, held and by which gate, or not spoken of.
 *
 * The original's plan is worked out from the situation's rows with every deliberate difference switched off, and must
 * be the recorded one to the letter: where it depends on hash order, all that can come of any order is worked out, and
 * both ends of each recorded number must be met. With every difference switched on it must be this core's own plan. Only then is a
 * difference explained, by the fewest that lead from the one to the other.
 */
import { selectorKey } from '../../reducer/planner/pin.ts';
import { reduce } from '../../reducer/reduce.ts';
import { millisOf } from '../../reducer/time.ts';
import { canonicalTime } from '../../wire/instant.ts';
import { isUnderKey } from './planner-budgets.ts';
import type { Host } from './planner-facts.ts';
import type { Held } from './planner-gates.ts';
import { anyOrder, type Originals, type Range } from './planner-orders.ts';
import { casesOf, planOf, planWith, PLAN_RULES, type Case, type Plan } from './planner-plan.ts';
import { nowOf, stateOf } from './planner-state.ts';
import type { Report } from './report.ts';
import { needed, sorted } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

type Action = PlannerLine['actions'][number];

/** This core's plan of a situation, and all that the original may make of it. */
interface Compared {
  readonly line: PlannerLine;
  readonly cases: readonly Case[];
  readonly ours: Plan;
  readonly originals: Originals;
  /** The plan with only these rules: each set of rules is worked out once for all hosts. */
  readonly planWith: (on: ReadonlySet<string>) => Plan;
}

export function comparePlanner(line: PlannerLine, report: Report): void {
  compareOpens(line, report);
  const cases = casesOf(line);
  const ours = planOf(line, cases);
  const hosts = cases.map(({ host }) => host);
  const originals = anyOrder(line, hosts, numbersOf(line));
  const compared = { line, cases, ours, originals, planWith: remembered(line, cases) };
  const all = compared.planWith(new Set(PLAN_RULES));
  for (const host of line.hosts) {
    const isOurs = answerOf(all, host) === answerOf(ours, host);
    if (isOurs) compareHost(compared, host, report);
    // What the rules lead to, or nothing that they say is worth anything.
    else report.add({ at: at(line, host), expected: all.get(host), got: ours.get(host) }, []);
  }
  compareStrangers(line, report);
  compareNumbers(compared, report);
}

/** Of whom the recorded numbers tell: of all that are dispatched, then of those under each budget. */
function numbersOf(line: PlannerLine): readonly ((host: Host) => boolean)[] {
  const keys = (line.dispatchedPerBudget ?? []).map(({ selector }) => selectorKey(selector));
  return [() => true, ...keys.map((key) => (host: Host) => isUnderKey(line, host, key))];
}

function remembered(line: PlannerLine, cases: readonly Case[]): Compared['planWith'] {
  const plans = new Map<string, Plan>();
  return (on) => {
    const key = [...on].sort().join();
    const plan = plans.get(key) ?? planWith(line, cases, on);
    plans.set(key, plan);
    return plan;
  };
}

function at({ id }: PlannerLine, { rolloutId, hostname }: Host): string {
  return `planner ${id} ${rolloutId} ${hostname}`;
}

function compareOpens(line: PlannerLine, report: Report): void {
  const state = stateOf(line);
  const { entries } = reduce(state, { kind: 'Tick' }, nowOf(line));
  const got = entries
    .filter(({ payload }) => payload['event'] === 'RolloutOpened')
    .map(({ rolloutId, channel }) => {
      const targetRef = state.rollouts.get(rolloutId ?? '')?.row.channelRef;
      return sorted({ action: 'OpenRollout', rolloutId, channel, targetRef });
    });
  const opens = line.actions.filter(({ action }) => action === 'OpenRollout');
  const expected = opens.map((action) => sorted(action));
  const agrees = got.sort().join() === expected.sort().join();
  report.add(agrees ? null : { at: `planner ${line.id} opens`, expected, got }, []);
}

function compareHost(compared: Compared, host: Host, report: Report): void {
  const { line, cases, ours, originals } = compared;
  const recorded = recordedOf(line, host);
  const got = answerOf(ours, host);
  const original = originalOf(originals, host);
  const difference = { at: at(line, host), expected: recorded, got };
  const isOriginal = sorted([...original].sort()) === sorted([...recorded.answers].sort());
  const isRepeated = recorded.actions.every((action) => isMeant(action, host, line, originals));
  if (!isOriginal || !isRepeated) {
    report.add(difference, []);
    return;
  }
  const agrees = original.has(got);
  const rules = agrees
    ? soakRule(cases, host, got, recorded.actions)
    : needed(PLAN_RULES, (on) => answerOf(compared.planWith(on), host) === got);
  report.add(agrees && rules.length === 0 ? null : difference, rules);
}

function answerOf(plan: Plan, host: Host): string {
  return answerAs(plan.get(host));
}

/** All that the original may answer. */
function originalOf({ answers }: Originals, host: Host): ReadonlySet<string> {
  return new Set((answers.get(host) ?? [undefined]).map(answerAs));
}

function answerAs(held: Held | null | undefined): string {
  if (held === undefined) return 'silent';
  return held === null ? 'QueueDispatch' : `DeferDispatch:${held.gate}`;
}

/** What was recorded of a host: one answer, or several where it varies; `silent` where it is not spoken of. */
function recordedOf(line: PlannerLine, { rolloutId, hostname }: Host) {
  const actions = line.actions.filter(
    (action) =>
      action.action !== 'OpenRollout' && action.rolloutId === rolloutId && action.host === hostname,
  );
  const varying = (line.varying ?? []).filter(
    (found) => found.rolloutId === rolloutId && found.host === hostname,
  );
  const outcomes = varying.flatMap((found) => found.outcomes);
  const answers = [...actions.map(answerIn), ...outcomes];
  return { actions, answers: answers.length === 0 ? ['silent'] : answers };
}

function answerIn(action: Action): string {
  return action.action === 'DeferDispatch' ? `${action.action}:${action.gate}` : action.action;
}

/**
 * What an action says beside its kind: the original repeats the host's target and the soak that it fixed when the
 * rollout opened, and gives the reason, unless that varies.
 */
function isMeant(action: Action, host: Host, line: PlannerLine, { answers }: Originals): boolean {
  switch (action.action) {
    case 'OpenRollout':
      return false;
    case 'QueueDispatch':
      return (
        action.targetClosure === host.targetClosure &&
        action.soakDueAt === (host.soakDueAt ?? line.now)
      );
    case 'DeferDispatch': {
      const reasons = new Set((answers.get(host) ?? []).map((held) => held?.reason));
      return reasons.size === 1 ? reasons.has(action.reason) : action.reason === undefined;
    }
  }
}

export const SOAK_RULE = {
  name: 'soak-is-due-from-dispatch',
  why: 'list of differences: soakDueAt is set at dispatch, not at open',
};

function soakRule(
  cases: readonly Case[],
  host: Host,
  got: string,
  actions: readonly Action[],
): string[] {
  const found = cases.find((one) => one.host === host);
  const due = actions.flatMap((action) =>
    action.action === 'QueueDispatch' ? (canonicalTime(action.soakDueAt) ?? []) : [],
  )[0];
  if (got !== 'QueueDispatch' || due === undefined || found === undefined) return [];
  const { rollout, record, now } = found.asked;
  const minutes = rollout.row.plan.soakMinutes[record.wave] ?? 0;
  return millisOf(due) === now + minutes * 60_000 ? [] : [SOAK_RULE.name];
}

/** Nothing is recorded of a host that the situation has not. */
function compareStrangers({ id, actions, varying = [], hosts }: PlannerLine, report: Report): void {
  const spoken = [...actions.filter((a) => a.action !== 'OpenRollout'), ...varying];
  for (const found of spoken) {
    const isKnown = hosts.some(
      ({ rolloutId, hostname }) => rolloutId === found.rolloutId && hostname === found.host,
    );
    if (!isKnown) report.add({ at: `planner ${id}`, expected: found, got: 'no such host' }, []);
  }
}

/** How many are dispatched, in all and by budget, where the original's answer depends on its order. */
function compareNumbers(compared: Compared, report: Report): void {
  const { line } = compared;
  const { dispatchCount, dispatchedPerBudget = [] } = line;
  const keys = dispatchedPerBudget.map(({ selector }) => selectorKey(selector));
  const budgets = line.rollouts.flatMap((rollout) => rollout.budgets);
  const every = new Set(line.orderDependent ? budgets.map((b) => selectorKey(b.selector)) : []);
  const got = { orderDependent: varies(compared), budgets: [...every].sort() };
  const { orderDependent } = line;
  const expected = { orderDependent, budgets: [...keys].sort() };
  const isWhole = orderDependent === (dispatchCount !== undefined);
  if (!isWhole || sorted(got) !== sorted(expected)) {
    report.add({ at: `planner ${line.id} numbers`, expected, got }, []);
  }
  const numbers = numbersOf(line);
  [dispatchCount, ...dispatchedPerBudget].forEach((range, i) => {
    const counts = numbers[i];
    const original = compared.originals.numbers[i];
    if (range === undefined || counts === undefined || original === undefined) return;
    compareNumber(compared, range, original, counts, report);
  });
}

/** Whether hash order decides who is dispatched. */
function varies({ line, originals }: Compared): boolean {
  return line.hosts.some((host) => originalOf(originals, host).size > 1);
}

function compareNumber(
  { line, ours, planWith }: Compared,
  { min, max }: Range,
  original: Range,
  counts: (host: Host) => boolean,
  report: Report,
): void {
  const numberIn = (plan: Plan) =>
    [...plan].filter(([host, held]) => held === null && counts(host)).length;
  const got = numberIn(ours);
  const difference = { at: `planner ${line.id} dispatches`, expected: { min, max }, got };
  if (original.min !== min || original.max !== max) {
    report.add(difference, []);
    return;
  }
  const agrees = got >= min && got <= max;
  const isSame = (on: ReadonlySet<string>) => numberIn(planWith(on)) === got;
  report.add(agrees ? null : difference, agrees ? [] : needed(PLAN_RULES, isSame));
}
