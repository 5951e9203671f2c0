/** The rollout's transition table against its recorded results, each step from the recorded state. */
import {
  stepRollout,
  type RolloutCursor,
  type RolloutEvent,
} from '../../reducer/rollout/step-rollout.ts';
import type { RecordedRollout, RolloutLine } from './shapes.ts';
import type { Report } from './report.ts';
import { sorted, type Named } from './rule.ts';
import { recordedTime } from './time.ts';

type Recorded = RolloutLine['steps'][number];

interface Outcome {
  readonly result: string;
  readonly record: RecordedRollout;
}

/** One recorded step, and where it set out from. `hosts` are the states that the recorded events gave its hosts. */
interface Case {
  readonly before: RecordedRollout;
  readonly event: Recorded['event'];
  readonly hosts: readonly string[];
}

interface Rule extends Named {
  readonly applies: (found: Case) => boolean;
  /** What the original makes of it, */
  readonly original: (found: Case) => Outcome;
  /** and what this core must: anything else is no deliberate difference. */
  readonly ours: (found: Case) => Partial<RecordedRollout>;
}

const stays = ({ before }: Case): Outcome => ({ result: 'ok', record: before });
const refuses = ({ before }: Case): Outcome => ({ result: 'illegal', record: before });
const isWave = ({ event }: Case) => event.kind === 'WaveAdvanced';
const isHostChange = ({ event }: Case) => event.kind === 'HostStateChanged';

export const ROLLOUT_RULES: readonly Rule[] = [
  {
    name: 'operator-clearance-works',
    why: 'list of differences: OperatorClearance works',
    applies: ({ before: { state }, event }) =>
      event.kind === 'OperatorClearance' && (state === 'Failed' || state === 'Reverted'),
    original: ({ before }) => ({ result: 'unimplemented', record: before }),
    ours: () => ({ state: 'Active' }),
  },
  {
    name: 'failed-becomes-reverted',
    why: 'list of differences: Failed becomes Reverted',
    applies: (found) =>
      found.before.state === 'Failed' && isHostChange(found) && hasReverted(found),
    original: stays,
    ours: () => ({ state: 'Reverted' }),
  },
  {
    name: 'terminal-may-still-fail',
    why: "rollouts' table: failures above maxFailures also take Terminal to Failed",
    applies: (found) =>
      found.before.state === 'Terminal' && isHostChange(found) && isAnyFailed(found.hosts),
    original: stays,
    ours: (found) => ({ state: hasReverted(found) ? 'Reverted' : 'Failed', terminalAt: null }),
  },
  {
    name: 'opening-skips-empty-waves',
    why: "rollouts, settled hosts: 'an empty wave is skipped', before anybody has moved too",
    applies: (found) => found.before.state === 'Opening' && isWave(found),
    original: refuses,
    ours: ({ before, event }) =>
      isNoMove(before, event) ? {} : { currentWave: event.toWave ?? 0 },
  },
  {
    name: 'opening-may-end',
    why: "rollouts' table: every host settled takes Opening to Terminal, too",
    applies: ({ before, event }) => before.state === 'Opening' && event.kind === 'RolloutTerminal',
    original: refuses,
    ours: ({ event }) => ({ state: 'Terminal', terminalAt: event.at ?? null }),
  },
  {
    name: 'cursor-moves-forward-from-where-it-is',
    why: "rollouts' table, WaveAdvanced: 'cursor forward, never back'; Converging is reached by hosts that soak alone",
    applies: (found) => isUnderway(found) && isWave(found) && isNoMove(found.before, found.event),
    original: jumps,
    ours: () => ({}),
  },
];

function isUnderway({ before: { state } }: Case): boolean {
  return state === 'Active' || state === 'Converging';
}

/** The original goes by the event's own two waves: a later one is entered, anything else was the last. */
function jumps({ before, event: { fromWave = 0, toWave = 0 } }: Case): Outcome {
  const currentWave = Math.max(before.currentWave, toWave);
  const record: RecordedRollout =
    toWave > fromWave
      ? { ...before, state: 'Active', currentWave }
      : { ...before, state: 'Converging' };
  return { result: 'ok', record };
}

function isAnyFailed(hosts: readonly string[]): boolean {
  return hosts.some((state) => state === 'Failed' || state === 'Reverted');
}

/** Whatever counts as a failure has gone back. */
function hasReverted({ hosts }: Case): boolean {
  return hosts.includes('Reverted') && !hosts.includes('Failed');
}

function isNoMove({ currentWave }: RecordedRollout, event: Recorded['event']): boolean {
  return event.fromWave !== currentWave || (event.toWave ?? 0) <= currentWave;
}

export function compareRollout(line: RolloutLine, report: Report): void {
  let before = line.initial;
  const hosts = new Map<string, string>();
  line.steps.forEach((recorded, i) => {
    const { event, effects = [] } = recorded;
    if (recorded.result === 'ok' && event.hostId !== undefined && event.to !== undefined)
      hosts.set(event.hostId, event.to);
    const found: Case = { before, event, hosts: [...hosts.values()] };
    const got = outcome(found);
    const at = `rollout ${line.id} step ${String(i)}`;
    const difference = { at, expected: { from: before, recorded }, got };
    // The effects are what the record's change means, whoever is right about the record.
    const isMeant = sorted(effects.map(timed)) === sorted(effectsOf(found, recorded.record));
    const rule = ROLLOUT_RULES.find((candidate) => candidate.applies(found));
    // Where a rule applies it knows what the original did, even if that is what this core does.
    const isKnown = rule === undefined || isSame(rule.original(found), recorded);
    if (!isMeant || !isKnown) report.add(difference, []);
    else if (isSame(recorded, got)) report.add(null, []);
    else report.add(difference, rule !== undefined && isOurs(rule, found, got) ? [rule.name] : []);
    before = recorded.record;
  });
}

function isOurs(rule: Rule, found: Case, got: Outcome): boolean {
  return isSame({ result: 'ok', record: { ...found.before, ...rule.ours(found) } }, got);
}

/** What is to be noted and done when a rollout goes from one record to another. */
function effectsOf({ before, event }: Case, after: RecordedRollout): unknown[] {
  const { state: from, currentWave } = before;
  const at = recordedTime(event.at);
  const moved = { kind: 'RecordRolloutTransition', from, to: after.state, at };
  const advanced = { kind: 'UpdateCurrentWave', wave: after.currentWave };
  return [
    ...(from === after.state ? [] : [moved]),
    ...(currentWave === after.currentWave ? [] : [advanced]),
  ];
}

function timed({ at, ...effect }: NonNullable<Recorded['effects']>[number]) {
  return at === undefined ? effect : { ...effect, at: recordedTime(at) };
}

function outcome({ before, event, hosts }: Case): Outcome {
  const mapped = eventOf(event, hosts);
  const cursor: RolloutCursor = {
    state: before.state,
    currentWave: before.currentWave,
    supersededAt: recordedTime(before.supersededAt),
    supersededBy: null,
    terminalAt: recordedTime(before.terminalAt),
    exceptions: null,
    failedAt: null,
    endedAt: null,
  };
  const set = mapped === null ? null : stepRollout(cursor, mapped);
  if (set === null) return { result: 'illegal', record: before };
  const { state, currentWave, terminalAt, supersededAt } = { ...cursor, ...set };
  if (state === 'Cancelled') throw new Error('no recorded event cancels');
  return { result: 'ok', record: { state, currentWave, terminalAt, supersededAt } };
}

/** The recorded event in this core's words; null for RolloutOpened: an id opens once, as a row, not as an event. */
function eventOf(event: Recorded['event'], hosts: readonly string[]): RolloutEvent | null {
  const at = recordedTime(event.at) ?? '';
  const reverted = hosts.filter((state) => state === 'Reverted').length;
  const failures = reverted + hosts.filter((state) => state === 'Failed').length;
  switch (event.kind) {
    case 'HostJoined':
    case 'RetentionExpired':
    case 'OperatorClearance':
      return { kind: event.kind, at };
    case 'RolloutTerminal':
      return { kind: 'AllSettled', at, exceptions: {} };
    case 'HostStateChanged':
      return { kind: 'HostStateChanged', at, failures, reverted, maxFailures: 0 };
    case 'WaveAdvanced':
      return { kind: 'WaveAdvanced', at, fromWave: event.fromWave ?? 0, toWave: event.toWave ?? 0 };
    case 'SuccessorOpened':
      return { kind: 'SuccessorOpened', at, successor: event.successorRolloutId ?? '' };
    default:
      return null;
  }
}

function isSame(a: Outcome, b: Outcome): boolean {
  return (
    a.result === b.result &&
    a.record.state === b.record.state &&
    a.record.currentWave === b.record.currentWave &&
    recordedTime(a.record.terminalAt) === recordedTime(b.record.terminalAt) &&
    recordedTime(a.record.supersededAt) === recordedTime(b.record.supersededAt)
  );
}
