/** The rollout's transition table against its recorded results, each step from the recorded state. */
import {
  stepRollout,
  type RolloutCursor,
  type RolloutEvent,
} from '../../reducer/rollout/step-rollout.ts';
import { canonicalTime } from '../../wire/instant.ts';
import type { RecordedRollout, RolloutLine } from './shapes.ts';
import type { Report } from './report.ts';

type Recorded = RolloutLine['steps'][number];

interface Outcome {
  readonly result: 'ok' | 'illegal';
  readonly record: RecordedRollout;
}

/** One recorded step, and where it set out from. `hosts` are the states that the recorded events gave its hosts. */
interface Case {
  readonly before: RecordedRollout;
  readonly recorded: Recorded;
  readonly hosts: readonly string[];
}

interface Rule {
  readonly name: string;
  readonly applies: (found: Case) => boolean;
  /** What this core must make of it: anything else is no deliberate difference. */
  readonly makes: (found: Case) => Partial<RecordedRollout>;
}

const isWave = ({ event }: Recorded) => event.kind === 'WaveAdvanced';

const RULES: readonly Rule[] = [
  {
    name: 'operator-clearance-works',
    applies: ({ before: { state }, recorded: { event, result } }) =>
      event.kind === 'OperatorClearance' &&
      result === 'unimplemented' &&
      (state === 'Failed' || state === 'Reverted'),
    makes: () => ({ state: 'Active' }),
  },
  {
    name: 'failed-becomes-reverted',
    applies: (found) =>
      found.before.state === 'Failed' && isHostChange(found) && hasReverted(found),
    makes: () => ({ state: 'Reverted' }),
  },
  {
    name: 'terminal-may-still-fail',
    applies: (found) =>
      found.before.state === 'Terminal' && isHostChange(found) && isAnyFailed(found.hosts),
    makes: (found) => ({ state: hasReverted(found) ? 'Reverted' : 'Failed' }),
  },
  {
    name: 'opening-skips-empty-waves',
    applies: ({ before, recorded }) => before.state === 'Opening' && isWave(recorded),
    makes: ({ before, recorded: { event } }) =>
      isNoMove(before, event) ? {} : { currentWave: event.toWave ?? 0 },
  },
  {
    name: 'opening-may-end',
    applies: ({ before, recorded: { event } }) =>
      before.state === 'Opening' && event.kind === 'RolloutTerminal',
    makes: ({ recorded: { event } }) => ({ state: 'Terminal', terminalAt: event.at ?? null }),
  },
  {
    name: 'cursor-moves-forward-from-where-it-is',
    applies: ({ before, recorded }) => isWave(recorded) && isNoMove(before, recorded.event),
    makes: () => ({}),
  },
  {
    name: 'converging-does-not-go-back',
    applies: ({ before, recorded }) => before.state === 'Converging' && isWave(recorded),
    makes: () => ({}),
  },
];

function isHostChange({ recorded: { event } }: Case): boolean {
  return event.kind === 'HostStateChanged';
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

function explain(found: Case, got: Outcome): string[] {
  const rule = RULES.find((candidate) => {
    if (!candidate.applies(found) || got.result !== 'ok') return false;
    return isSame({ ...found.before, ...candidate.makes(found) }, got.record);
  });
  return rule === undefined ? [] : [rule.name];
}

export function compareRollout(line: RolloutLine, report: Report): void {
  let before = line.initial;
  const hosts = new Map<string, string>();
  line.steps.forEach((recorded, i) => {
    const { hostId, to } = recorded.event;
    if (recorded.result === 'ok' && hostId !== undefined && to !== undefined) hosts.set(hostId, to);
    const at = `rollout ${line.id} step ${String(i)}`;
    const got = outcome(before, recorded, [...hosts.values()]);
    const agrees = recorded.result === got.result && isSame(recorded.record, got.record);
    const found = { before, recorded, hosts: [...hosts.values()] };
    report.add(
      agrees ? null : { at, expected: { from: before, recorded }, got },
      explain(found, got),
    );
    before = recorded.record;
  });
}

function outcome(before: RecordedRollout, { event }: Recorded, hosts: readonly string[]): Outcome {
  const mapped = eventOf(event, hosts);
  const cursor: RolloutCursor = {
    state: before.state,
    currentWave: before.currentWave,
    supersededAt: canonical(before.supersededAt),
    supersededBy: null,
    terminalAt: canonical(before.terminalAt),
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
  const at = canonical(event.at) ?? '';
  const reverted = hosts.filter((state) => state === 'Reverted').length;
  const failures = reverted + hosts.filter((state) => state === 'Failed').length;
  switch (event.kind) {
    case 'HostJoined':
    case 'RetentionExpired':
    case 'OperatorClearance':
      return { kind: event.kind, at };
    case 'RolloutTerminal':
      return { kind: 'AllSettled', at };
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

function isSame(a: RecordedRollout, b: RecordedRollout): boolean {
  return (
    a.state === b.state &&
    a.currentWave === b.currentWave &&
    canonical(a.terminalAt) === canonical(b.terminalAt) &&
    canonical(a.supersededAt) === canonical(b.supersededAt)
  );
}

function canonical(time: string | null | undefined): string | null {
  return time == null ? null : canonicalTime(time);
}
