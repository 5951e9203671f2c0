/**
 * The host's step against its recorded results: each step starts from the recorded record, so that one
 * difference is counted once and does not hide the next.
 */
import type { HostEvent } from '../../reducer/host/events.ts';
import { pendingRecord, type HostRecord, type ProbeStatus } from '../../reducer/host/record.ts';
import { step, type Stepped } from '../../reducer/host/step.ts';
import { decodeHostEvent } from '../../wire/event.ts';
import type { HostLine, RecordedHost } from './shapes.ts';
import type { Report } from './report.ts';
import { sorted, type Named } from './rule.ts';
import { recordedTime } from './time.ts';

type Policy = HostLine['policy'];
type Step = HostLine['steps'][number];

/** All that a step recorded of itself, beside the result: the record, the transition and the quarantine. */
interface Outcome extends HostRecord {
  readonly transition: { readonly from: string; readonly to: string; readonly at: string } | null;
  readonly quarantine: { readonly channel: string; readonly closure: string } | null;
}

type Sides = { readonly original: Partial<Outcome>; readonly ours: Partial<Outcome> };

interface Rule extends Named {
  /** The fields that may differ under this rule, and the one value of each on either side; null: it does not apply. */
  readonly makes: (before: HostRecord, event: HostEvent, policy: Policy) => Sides | null;
}

export const HOST_RULES: readonly Rule[] = [
  {
    name: 'failed-rollback-stays-failed',
    why: 'list of differences: RollbackComplete with another exit than 0 stays Failed',
    makes: (before, event) => {
      if (event.kind !== 'RollbackComplete' || before.state !== 'Failed') return null;
      if (event.exitCode === 0) return null;
      const { completedAt: at, revertedToClosure: to } = event;
      const { state, revertedAt, revertedTo, currentClosure } = before;
      return {
        original: {
          ...{ state: 'Reverted', revertedAt: at, revertedTo: to, currentClosure: to },
          transition: { from: 'Failed', to: 'Reverted', at },
        },
        ours: { state, revertedAt, revertedTo, currentClosure, transition: null },
      };
    },
  },
  {
    name: 'first-stamps-cleared-on-activation',
    why: 'list of differences: probe first-stamps are cleared on activation',
    makes: ({ probeObservedFirstAt, probeFailureFirstAt }, event) =>
      event.kind !== 'ActivationCompleted'
        ? null
        : {
            original: { probeObservedFirstAt, probeFailureFirstAt },
            ours: { probeObservedFirstAt: null, probeFailureFirstAt: null },
          },
  },
  {
    name: 'policy-applied-from-deferred',
    why: 'list of differences: policyApplied is also set from Deferred to Failed',
    makes: ({ state, policyApplied }, event, { onHealthFailure }) =>
      state !== 'Deferred' || event.kind !== 'ActivationFailed'
        ? null
        : { original: { policyApplied }, ours: { policyApplied: onHealthFailure } },
  },
  {
    name: 'declared-probes-kept',
    why: "hosts' table, ProbeTopologyDeclared: 'declared set kept', in a field that was not recorded",
    makes: ({ declaredProbes }, event) =>
      event.kind !== 'ProbeTopologyDeclared'
        ? null
        : { original: { declaredProbes }, ours: { declaredProbes: event.probes } },
  },
];

export function compareHost(line: HostLine, report: Report): void {
  const { initial, policy } = line;
  let before: HostRecord = {
    ...pendingRecord({ ...initial, wave: 0 }),
    dispatchedAt: recordedTime(initial.dispatchedAt),
    soakDueAt: recordedTime(initial.soakDueAt),
  };
  line.steps.forEach((recorded, i) => {
    compareStep(`host ${line.id} step ${String(i)}`, before, recorded, policy, report);
    if (recorded.record !== undefined) before = recordOf(before, recorded.record);
  });
}

function compareStep(
  at: string,
  before: HostRecord,
  recorded: Step,
  policy: Policy,
  report: Report,
): void {
  const event = eventOf(recorded.event);
  if (event === null) {
    report.add({ at, expected: recorded.result, got: 'undecodable' }, []);
    return;
  }
  const got = step(before, event, policy);
  const { result, record, transition, quarantine } = recorded;
  const isRefused = record === undefined && transition === undefined && quarantine === undefined;
  if (result !== (got.ok ? 'ok' : got.code) || !got.ok || record === undefined) {
    const agrees = !got.ok && got.code === result && isRefused;
    report.add(agrees ? null : { at, expected: recorded, got }, []);
    return;
  }
  const theirs: Outcome = {
    ...recordOf(before, record),
    transition:
      transition === undefined ? null : { ...transition, at: recordedTime(transition.at) ?? '' },
    quarantine: quarantine ?? null,
  };
  const ours = outcomeOf(before, event, got);
  const different = differing(theirs, ours);
  const sides = (rule: Rule) => rule.makes(before, event, policy);
  report.add(
    different.length === 0 ? null : { at, expected: recorded, got: ours },
    explain(different, theirs, ours, sides),
  );
}

/** What this core made of it, in the words of the recording. */
function outcomeOf(before: HostRecord, event: HostEvent, { record, effects }: Stepped): Outcome {
  const { state: from } = before;
  const to = record.state;
  const quarantine = effects.find((effect) => effect.kind === 'Quarantine');
  return {
    ...record,
    transition: from === to ? null : { from, to, at: enteredAt(record, event) },
    quarantine:
      quarantine === undefined
        ? null
        : { channel: quarantine.channel, closure: quarantine.closure },
  };
}

/** When the record says that it came into its state; of Deferred only the event tells. */
function enteredAt(record: HostRecord, event: HostEvent): string {
  const stamps: Partial<Record<HostRecord['state'], string | null>> = {
    Activating: record.dispatchAckedAt,
    Deferred: event.kind === 'ActivationDeferred' ? event.deferredAt : null,
    Soaking: record.activationCompletedAt,
    Converged: record.convergedAt,
    Failed: record.failedAt,
    Reverted: record.revertedAt,
  };
  return stamps[record.state] ?? '';
}

/** The rules that together account for every differing field; none if one is left. */
function explain(
  fields: readonly string[],
  theirs: Outcome,
  ours: Outcome,
  sides: (rule: Rule) => Sides | null,
): string[] {
  const used = new Map<string, string>();
  for (const rule of HOST_RULES) {
    const made = sides(rule);
    if (made === null || !isMade(made.original, theirs) || !isMade(made.ours, ours)) continue;
    for (const field of Object.keys(made.ours)) used.set(field, rule.name);
  }
  const names = fields.map((field) => used.get(field));
  return names.every((name) => name !== undefined) ? [...new Set(names)] : [];
}

/** A side of a rule counts as a whole: with one of its fields otherwise it is another difference. */
function isMade(made: Partial<Outcome>, outcome: Outcome): boolean {
  const values = new Map<string, unknown>(Object.entries(outcome));
  return Object.entries(made).every(
    ([field, value]) => sorted(value) === sorted(values.get(field)),
  );
}

function differing(a: Outcome, b: Outcome): string[] {
  const right = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a)
    .filter(([field, value]) => sorted(value) !== sorted(right.get(field)))
    .map(([field]) => field);
}

/** The recorded record; what it leaves out is null, and what it never had is as it was. */
function recordOf(before: HostRecord, recorded: RecordedHost): HostRecord {
  return {
    ...before,
    state: recorded.state,
    lastEventSeq: recorded.lastEventSeq,
    currentClosureAtDispatch: recorded.currentClosureAtDispatch ?? null,
    currentClosure: recorded.currentClosure ?? null,
    revertedTo: recorded.revertedTo ?? null,
    policyApplied: recorded.policyApplied ?? null,
    dispatchAckedAt: recordedTime(recorded.dispatchAckedAt),
    activationStartedAt: recordedTime(recorded.activationStartedAt),
    activationCompletedAt: recordedTime(recorded.activationCompletedAt),
    activationFailedAt: recordedTime(recorded.activationFailedAt),
    probeObservedFirstAt: recordedTime(recorded.probeObservedFirstAt),
    probeFailureFirstAt: recordedTime(recorded.probeFailureFirstAt),
    soakDueAt: recordedTime(recorded.soakDueAt),
    convergedAt: recordedTime(recorded.convergedAt),
    failedAt: recordedTime(recorded.failedAt),
    revertedAt: recordedTime(recorded.revertedAt),
    probes: probesOf(recorded),
  };
}

function probesOf(recorded: RecordedHost): HostRecord['probes'] {
  const probes: Record<string, ProbeStatus> = {};
  for (const [name, probe] of Object.entries(recorded.probes ?? {})) {
    probes[name] = {
      status: probe.status,
      mode: probe.mode,
      lastObservedAt: recordedTime(probe.lastObservedAt) ?? '',
      lastPassAt: recordedTime(probe.lastPassAt),
      failureReason: probe.failureReason ?? null,
    };
  }
  return probes;
}

/** Decoded as a post would be. Seq 0 comes as a regression; the wire would not let it in. */
function eventOf(raw: Step['event']): HostEvent | null {
  const decoded = decodeHostEvent({ ...raw, seq: Math.max(1, raw.seq) });
  return decoded.ok ? { ...decoded.event, seq: raw.seq } : null;
}
