/**
 * The host's step against its recorded results: each step starts from the recorded record, so that one
 * difference is counted once and does not hide the next.
 */
import type { HostEvent } from '../../reducer/host/events.ts';
import { pendingRecord, type HostRecord, type ProbeStatus } from '../../reducer/host/record.ts';
import { step } from '../../reducer/host/step.ts';
import { decodeHostEvent } from '../../wire/event.ts';
import { canonicalTime } from '../../wire/instant.ts';
import type { HostLine, RecordedHost } from './shapes.ts';
import type { Report } from './report.ts';

interface Rule {
  readonly name: string;
  readonly applies: (before: HostRecord, event: HostEvent) => boolean;
  /** The fields in which this rule lets the records differ. */
  readonly fields: readonly string[];
}

const RULES: readonly Rule[] = [
  {
    name: 'failed-rollback-stays-failed',
    applies: (_, event) => event.kind === 'RollbackComplete' && event.exitCode !== 0,
    fields: ['state', 'revertedAt', 'revertedTo', 'currentClosure'],
  },
  {
    name: 'first-stamps-cleared-on-activation',
    applies: (_, event) => event.kind === 'ActivationCompleted',
    fields: ['probeObservedFirstAt', 'probeFailureFirstAt'],
  },
  {
    name: 'policy-applied-from-deferred',
    applies: (before, event) => before.state === 'Deferred' && event.kind === 'ActivationFailed',
    fields: ['policyApplied'],
  },
  {
    name: 'declared-probes-kept',
    applies: (_, event) => event.kind === 'ProbeTopologyDeclared',
    fields: ['declaredProbes'],
  },
];

type Step = HostLine['steps'][number];

export function compareHost(line: HostLine, report: Report): void {
  const { initial, policy } = line;
  let before: HostRecord = {
    ...pendingRecord({ ...initial, wave: 0 }),
    dispatchedAt: canonical(initial.dispatchedAt),
    soakDueAt: canonical(initial.soakDueAt),
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
  policy: HostLine['policy'],
  report: Report,
): void {
  const event = eventOf(recorded.event);
  if (event === null) {
    report.add({ at, expected: recorded.result, got: 'undecodable' }, []);
    return;
  }
  const got = step(before, event, policy);
  const result = got.ok ? 'ok' : got.code;
  if (result !== recorded.result || !got.ok || recorded.record === undefined) {
    const agrees = result === recorded.result && got.ok === (recorded.record !== undefined);
    report.add(agrees ? null : { at, expected: recorded, got }, []);
    return;
  }
  const quarantines = got.effects.some((effect) => effect.kind === 'Quarantine');
  const different = differing(recordOf(before, recorded.record), got.record);
  if (quarantines !== (recorded.quarantine !== undefined)) different.push('quarantine');
  const difference = different.length === 0 ? null : { at, expected: recorded, got: got.record };
  report.add(difference, explain(different, before, event));
}

/** The rules that together cover every differing field; none if one is left. */
function explain(fields: readonly string[], before: HostRecord, event: HostEvent): string[] {
  const rules = RULES.filter((rule) => rule.applies(before, event));
  const used = rules.filter((rule) => rule.fields.some((field) => fields.includes(field)));
  const isCovered = (field: string) => used.some((rule) => rule.fields.includes(field));
  return fields.every(isCovered) ? used.map((rule) => rule.name) : [];
}

function differing(a: HostRecord, b: HostRecord): string[] {
  const right = new Map(Object.entries(b));
  return Object.entries(a)
    .filter(([field, value]) => sorted(value) !== sorted(right.get(field)))
    .map(([field]) => field);
}

/** JSON with sorted keys: what is compared is content, not the order in which it was noted. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)))
      : v,
  );
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
    dispatchAckedAt: canonical(recorded.dispatchAckedAt),
    activationStartedAt: canonical(recorded.activationStartedAt),
    activationCompletedAt: canonical(recorded.activationCompletedAt),
    activationFailedAt: canonical(recorded.activationFailedAt),
    probeObservedFirstAt: canonical(recorded.probeObservedFirstAt),
    probeFailureFirstAt: canonical(recorded.probeFailureFirstAt),
    soakDueAt: canonical(recorded.soakDueAt),
    convergedAt: canonical(recorded.convergedAt),
    failedAt: canonical(recorded.failedAt),
    revertedAt: canonical(recorded.revertedAt),
    probes: probesOf(recorded),
  };
}

function probesOf(recorded: RecordedHost): HostRecord['probes'] {
  const probes: Record<string, ProbeStatus> = {};
  for (const [name, probe] of Object.entries(recorded.probes ?? {})) {
    probes[name] = {
      status: probe.status,
      mode: probe.mode,
      lastObservedAt: canonical(probe.lastObservedAt) ?? '',
      lastPassAt: canonical(probe.lastPassAt),
      failureReason: probe.failureReason ?? null,
    };
  }
  return probes;
}

function canonical(time: string | null | undefined): string | null {
  return time == null ? null : canonicalTime(time);
}

/** Decoded as a post would be. Seq 0 comes as a regression; the wire would not let it in. */
function eventOf(raw: Step['event']): HostEvent | null {
  const decoded = decodeHostEvent({ ...raw, seq: Math.max(1, raw.seq) });
  return decoded.ok ? { ...decoded.event, seq: raw.seq } : null;
}
