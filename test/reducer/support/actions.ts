/**
 * Random histories. An action says what happens in the world ("the third host's agent does the obvious
 * next thing"); it becomes an input only against the state that is there, so that histories get deep
 * instead of being refused at the first step. Nonsense is part of it, in smaller doses.
 */
import { COMMAND_NAMES, commandAbout } from '../../../src/wire/command.ts';
import fc from 'fast-check';
import type { HostEvent, HostEventKind } from '../../../src/reducer/host/events.ts';
import type { OperatorCommand } from '../../../src/reducer/input.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import { timeOf, type Millis } from '../../../src/reducer/time.ts';

export type Action =
  | { readonly do: 'event'; readonly host: number; readonly rollout: number; readonly luck: number }
  | {
      readonly do: 'nonsense';
      readonly host: number;
      readonly rollout: number;
      readonly kind: HostEventKind;
      readonly skip: number;
      readonly luck: number;
    }
  | {
      readonly do: 'heartbeat';
      readonly host: number;
      readonly runs: 'target' | 'before' | 'same' | 'junk' | 'nothing';
      readonly states: boolean;
      readonly names: boolean;
    }
  | { readonly do: 'silence'; readonly host: number }
  | { readonly do: 'offer'; readonly host: number }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'declare'; readonly next: number }
  | { readonly do: 'resign' }
  | { readonly do: 'trust'; readonly reject: boolean }
  | { readonly do: 'retire'; readonly rollout: number }
  | { readonly do: 'malformed'; readonly host: number; readonly rollout: number }
  | { readonly do: 'takeover' }
  | { readonly do: 'hearing'; readonly is: boolean }
  | { readonly do: 'operator'; readonly command: number; readonly host: number };

export const KINDS: readonly HostEventKind[] = [
  'DispatchAck',
  'ActivationStarted',
  'ActivationCompleted',
  'ActivationFailed',
  'ActivationDeferred',
  'ProbeTopologyDeclared',
  'ProbeObservedFirst',
  'ProbeResult',
  'ProbeFailureFirst',
  'Failed',
  'RollbackComplete',
  'Converged',
];

const host = fc.nat({ max: 9 });
const rollout = fc.nat({ max: 2 });
const luck = fc.nat({ max: 99 });

const event = fc.record({ do: fc.constant('event' as const), host, rollout, luck });
const nonsense = fc.record({
  do: fc.constant('nonsense' as const),
  host,
  rollout,
  kind: fc.constantFrom(...KINDS),
  skip: fc.integer({ min: -2, max: 3 }),
  luck,
});
const heartbeat = fc.record({
  do: fc.constant('heartbeat' as const),
  host,
  runs: fc.constantFrom('target', 'target', 'before', 'same', 'same', 'junk', 'nothing'),
  states: fc.boolean(),
  names: fc.boolean(),
});
const rest: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('silence' as const), host }),
  fc.record({ do: fc.constant('declare' as const), next: fc.integer({ min: -1, max: 1 }) }),
  fc.record({ do: fc.constant('resign' as const) }),
  fc.record({ do: fc.constant('trust' as const), reject: fc.boolean() }),
  fc.record({ do: fc.constant('retire' as const), rollout: fc.nat({ max: 5 }) }),
  fc.record({ do: fc.constant('malformed' as const), host, rollout }),
  fc.record({ do: fc.constant('takeover' as const) }),
  fc.record({ do: fc.constant('hearing' as const), is: fc.boolean() }),
);

export const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: event },
  { weight: 2, arbitrary: nonsense },
  { weight: 5, arbitrary: heartbeat },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('offer' as const), host }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      minutes: fc.constantFrom(0, 1, 5, 16, 31, 130),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('operator' as const),
      command: fc.nat({ max: 99 }),
      host,
    }),
  },
  { weight: 2, arbitrary: rest },
);

/** What an agent in this state would most likely say next. */
export function nextEvent(record: RecordRow, luck: number, now: Millis): HostEvent {
  const seq = record.lastEventSeq + 1;
  return makeEvent(likelyKind(record, luck), record, seq, luck, now);
}

function likelyKind(record: RecordRow, luck: number): HostEventKind {
  switch (record.state) {
    case 'Pending':
      return 'DispatchAck';
    case 'Activating':
      if (luck < 15) return 'ActivationFailed';
      return luck < 30
        ? 'ActivationDeferred'
        : luck < 40
          ? 'ActivationStarted'
          : 'ActivationCompleted';
    case 'Deferred':
      return luck < 20 ? 'ActivationFailed' : 'ActivationCompleted';
    case 'Soaking':
      if (luck < 10) return 'Failed';
      return luck < 30 ? 'ProbeResult' : luck < 35 ? 'ProbeTopologyDeclared' : 'Converged';
    case 'Failed':
    case 'Reverted':
    case 'Converged':
      return 'RollbackComplete';
  }
}

/** An event of this kind as the host of `record` would post it at `now`. */
export function makeEvent(
  kind: HostEventKind,
  record: RecordRow,
  seq: number,
  luck: number,
  now: Millis,
): HostEvent {
  const at = timeOf(now);
  const mode = luck % 3 === 0 ? ('observe' as const) : ('enforce' as const);
  const probeName = `probe-${String(luck % 2)}`;
  const target = record.targetClosure;
  switch (kind) {
    case 'DispatchAck':
      return {
        kind,
        seq,
        currentClosureAtDispatch: luck % 10 === 0 ? '' : 'before',
        receivedAt: at,
      };
    case 'ActivationStarted':
      return { kind, seq, startedAt: at, switchMethod: 'test' };
    case 'ActivationCompleted':
      return { kind, seq, observedCurrentClosure: target, exitCode: 0, completedAt: at };
    case 'ActivationFailed':
      return { kind, seq, exitCode: 1, stderrTail: 'boom', failedAt: at };
    case 'ActivationDeferred':
      return { kind, seq, component: 'kernel', deferredAt: at };
    case 'ProbeTopologyDeclared':
      return { kind, seq, probes: [{ probeName, kind: 'tcp', mode }], declaredAt: at };
    case 'ProbeObservedFirst':
      return { kind, seq, probeName, mode, observedAt: at };
    case 'ProbeResult':
      return { kind, seq, probeName, mode, observedAt: at, ...probeOutcome(luck) };
    case 'ProbeFailureFirst':
      return { kind, seq, probeName, mode, firstFailedAt: at };
    case 'Failed':
      return {
        ...{ kind, seq, failedAt: at, sustainedDurationSecs: 60, failingProbes: [probeName] },
        policyApplied: luck % 2 === 0 ? 'halt' : 'rollback-and-halt',
      };
    case 'RollbackComplete':
      return {
        kind,
        seq,
        revertedToClosure: 'before',
        exitCode: luck % 4 === 0 ? 1 : 0,
        completedAt: at,
      };
    case 'Converged':
      return {
        ...{ kind, seq, convergedAt: luck % 8 === 0 ? at : later(at, record.soakDueAt) },
        currentClosure: luck % 20 === 0 ? 'junk' : target,
      };
  }
}

function later(a: string, b: string | null): string {
  return b !== null && b > a ? b : a;
}

function probeOutcome(luck: number) {
  const fails = luck % 2 === 0;
  const sub = (controlId: string, failing: boolean) => ({
    ...{ controlId, framework: 'nis2', status: failing ? ('fail' as const) : ('pass' as const) },
    ...(luck % 7 === 0 ? { effectiveMode: 'observe' as const } : {}),
  });
  return {
    status: fails ? ('fail' as const) : ('pass' as const),
    ...(fails ? { failureReason: 'refused' } : {}),
    ...(luck % 5 === 0 ? { subResults: [sub('c1', luck % 10 === 0), sub('c2', fails)] } : {}),
  };
}

/** One of all operator commands, about things that exist more often than not. */
export function operatorCommand(
  choice: number,
  hostname: string,
  rolloutIds: readonly string[],
  quarantines: readonly { readonly channel: string; readonly closure: string }[],
): OperatorCommand {
  const rolloutId = rolloutIds[choice % Math.max(1, rolloutIds.length)] ?? 'a@none';
  const channel = choice % 2 === 0 ? 'a' : 'b';
  const quarantine = quarantines[choice % Math.max(1, quarantines.length)];
  // Halts are common here: clearing one is drawn twice as often.
  const names = [...COMMAND_NAMES, 'ClearRollout'] as const;
  const name = names[choice % names.length] ?? 'PauseFleet';
  const tokenId = `000000000000000${String(choice % 3)}`;
  const subject = { rolloutId, hostname, channel, closure: 'none', tokenId };
  const token = {
    ...{ tokenId, name: `ci-${String(choice % 2)}`, role: 'operator', lifetimeHours: 1 },
    channels: choice % 4 === 0 ? [channel] : null,
  };
  const about = name === 'ClearQuarantine' ? { ...subject, ...quarantine } : subject;
  return commandAbout(name, about, token);
}
