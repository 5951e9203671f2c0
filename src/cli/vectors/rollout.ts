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

interface Rule {
  readonly name: string;
  readonly applies: (before: RecordedRollout, recorded: Recorded, got: Outcome) => boolean;
}

const isWave = ({ event }: Recorded) => event.kind === 'WaveAdvanced';

const RULES: readonly Rule[] = [
  {
    name: 'operator-clearance-works',
    applies: (_, { event, result }, got) =>
      event.kind === 'OperatorClearance' &&
      result === 'unimplemented' &&
      got.record.state === 'Active',
  },
  {
    name: 'failed-becomes-reverted',
    applies: (before, { event }, got) =>
      before.state === 'Failed' && event.to === 'Reverted' && got.record.state === 'Reverted',
  },
  {
    name: 'terminal-may-still-fail',
    applies: (before, { event }, got) =>
      before.state === 'Terminal' &&
      event.kind === 'HostStateChanged' &&
      got.record.state !== 'Terminal',
  },
  {
    name: 'opening-skips-empty-waves',
    applies: (before, recorded, got) =>
      before.state === 'Opening' && isWave(recorded) && got.record.state === 'Opening',
  },
  {
    name: 'opening-may-end',
    applies: (before, { event }, got) =>
      before.state === 'Opening' &&
      event.kind === 'RolloutTerminal' &&
      got.record.state === 'Terminal',
  },
  {
    name: 'cursor-moves-forward-from-where-it-is',
    applies: (before, recorded, got) =>
      isWave(recorded) && isNoMove(before, recorded.event) && isSame(before, got.record),
  },
  {
    name: 'converging-does-not-go-back',
    applies: (before, recorded, got) =>
      before.state === 'Converging' && isWave(recorded) && got.record.state === 'Converging',
  },
];

function isNoMove({ currentWave }: RecordedRollout, event: Recorded['event']): boolean {
  return event.fromWave !== currentWave || (event.toWave ?? 0) <= currentWave;
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
    const from = before;
    const rules = RULES.filter((rule) => rule.applies(from, recorded, got)).map(({ name }) => name);
    report.add(agrees ? null : { at, expected: { from, recorded }, got }, rules.slice(0, 1));
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
