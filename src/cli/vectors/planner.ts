/**
 * The planner against its recorded results: for every Pending host of a situation, whether it is dispatched
 * and if not, which gate holds it; and which rollouts open. Where the original's answer depends on hash
 * order, this core's must be one of those that it gave.
 */
import { disruptionBudget } from '../../reducer/planner/gates/disruption-budget.ts';
import type { Held } from '../../reducer/planner/gates/gate.ts';
import { gatesHolding, heldAt } from '../../reducer/planner/gates.ts';
import { reduce } from '../../reducer/reduce.ts';
import { millisOf } from '../../reducer/time.ts';
import { canonicalTime } from '../../wire/instant.ts';
import { RULES, type Case } from './planner-rules.ts';
import { grant, stateOf, waveOf } from './planner-state.ts';
import type { Report } from './report.ts';
import type { PlannerLine } from './shapes.ts';

type Host = PlannerLine['hosts'][number];

export function comparePlanner(line: PlannerLine, report: Report): void {
  compareOpens(line, report);
  compareDecisions(line, report);
}

function compareOpens(line: PlannerLine, report: Report): void {
  const { entries } = reduce(stateOf(line), { kind: 'Tick' }, nowOf(line));
  const got = entries.filter(({ payload }) => payload['event'] === 'RolloutOpened');
  const opened = got.flatMap(({ rolloutId }) => rolloutId ?? []).sort();
  const opens = line.actions.filter(({ action }) => action === 'OpenRollout');
  const expected = opens.map(({ rolloutId }) => rolloutId).sort();
  const agrees = opened.join() === expected.join();
  report.add(agrees ? null : { at: `planner ${line.id} opens`, expected, got: opened }, []);
}

function compareDecisions(line: PlannerLine, report: Report): void {
  const state = stateOf(line);
  const now = nowOf(line);
  const rank = (host: Host) => {
    const rollout = state.rollouts.get(host.rolloutId)?.row;
    const wave = waveOf(line, host.rolloutId, rollout?.channel ?? '', host.hostname);
    return [rollout?.channel ?? '', rollout?.ordinal ?? 0, wave, host.hostname] as const;
  };
  const grants: Host[] = [];
  const agreed: Host[] = [];
  for (const host of [...line.hosts].sort((a, b) => compare(rank(a), rank(b)))) {
    if (host.state !== 'Pending' || host.dispatchAckedAt != null) continue;
    const held = heldAt(state, host.rolloutId, host.hostname, now);
    if (held === null) throw new Error(`planner ${line.id}: no record of ${host.hostname}`);
    const found = decide(host, held, { line, grants: [...grants], agreed: [...agreed] });
    compareDecision(found, report);
    if (found.gates.size > 0) continue;
    grants.push(host);
    if (found.expected.answers.includes('dispatch')) agreed.push(host);
    const { channel } = held.rollout.row;
    grant(state, host.rolloutId, host.hostname, channel, host.targetClosure, line.now);
  }
}

/** This core's answer, and what the original said. */
function decide(host: Host, held: Held, plan: Pick<Case, 'line' | 'grants' | 'agreed'>): Case {
  const names = (keys: readonly string[]) => new Set(keys.map((key) => key.replace(/:.*/, '')));
  return {
    ...{ ...plan, host, held },
    gates: names(gatesHolding(held)),
    budgets: disruptionBudget.keys(held).length > 0,
    expected: expectedOf(plan.line, host),
  };
}

function expectedOf(line: PlannerLine, { rolloutId, hostname }: Host): Case['expected'] {
  const mine = (of: { readonly rolloutId: string; readonly host?: string | undefined }) =>
    of.rolloutId === rolloutId && of.host === hostname;
  const action = line.actions.find(mine);
  if (action !== undefined) {
    const { targetClosure, soakDueAt } = action;
    const answer = action.action === 'QueueDispatch' ? 'dispatch' : (action.gate ?? '?');
    return { answers: [answer], targetClosure, soakDueAt };
  }
  const outcomes = line.varying?.find(mine)?.outcomes ?? [];
  const answers = outcomes.map((o) => (o === 'QueueDispatch' ? 'dispatch' : o.replace(/.*:/, '')));
  return { answers, targetClosure: undefined, soakDueAt: undefined };
}

function compareDecision(found: Case, report: Report): void {
  const { line, host, gates, expected } = found;
  const at = `planner ${line.id} ${host.rolloutId} ${host.hostname}`;
  const got = gates.size === 0 ? ['dispatch'] : [...gates];
  const difference = { at, expected, got };
  if (agrees(gates, expected.answers)) {
    const isWrong = (expected.targetClosure ?? host.targetClosure) !== host.targetClosure;
    const isDated = gates.size > 0 || expected.soakDueAt === undefined || isSoakAt(found);
    // The original fixes the soak when the rollout opens, and only repeats it here.
    const isOld = expected.soakDueAt === host.soakDueAt;
    const rules = isWrong || !isOld ? [] : ['soak-is-due-from-dispatch'];
    report.add(isDated && !isWrong ? null : difference, rules);
    return;
  }
  report.add(difference, explain(found));
}

/** The answer is one of the original's: it names one gate, the first that holds; this core names all. */
function agrees(gates: ReadonlySet<string>, answers: readonly string[]): boolean {
  return gates.size === 0
    ? answers.includes('dispatch')
    : answers.some((answer) => gates.has(answer));
}

/** Changes the answer by every rule that applies, to what the original must have seen. */
function explain(found: Case): string[] {
  const silent = RULES.filter((rule) => rule.silences?.(found));
  if (found.expected.answers.length === 0) return silent.map(({ name }) => name);
  const lifting = RULES.filter((rule) => rule.lifts?.(found) !== undefined);
  const lifted = new Set(lifting.flatMap((rule) => rule.lifts?.(found) ?? []));
  const adding = RULES.filter((rule) => rule.adds?.(found) !== undefined);
  const added = adding.flatMap((rule) => rule.adds?.(found) ?? []);
  const left = [...found.gates].filter((gate) => !lifted.has(gate));
  const budget = left.length === 0 && found.budgets && !lifted.has('disruption-budget');
  const seen = new Set([...left, ...added, ...(budget ? ['disruption-budget'] : [])]);
  return agrees(seen, found.expected.answers)
    ? [...lifting, ...adding].map(({ name }) => name)
    : [];
}

/** Whether the recorded soak is the one that this core would set now. */
function isSoakAt({ held, expected, line }: Case): boolean {
  const minutes = held.rollout.row.plan.soakMinutes[held.record.wave] ?? 0;
  const due = expected.soakDueAt === undefined ? null : canonicalTime(expected.soakDueAt);
  return due !== null && millisOf(due) === nowOf(line) + minutes * 60_000;
}

function nowOf(line: PlannerLine): number {
  return millisOf(canonicalTime(line.now) ?? '');
}

type Rank = readonly [string, number, number, string];

function compare(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] - b[1] || a[2] - b[2] || (a[3] < b[3] ? -1 : 1);
}
