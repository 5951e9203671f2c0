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

type Policy = HostLine['policy'];

interface Rule {
  readonly name: string;
  readonly applies: (before: HostRecord, event: HostEvent) => boolean;
  /** The fields in which records may differ under this rule, and what this core must make of each. */
  readonly makes: (before: HostRecord, event: HostEvent, policy: Policy) => Partial<HostRecord>;
}

const RULES: readonly Rule[] = [
  {
    name: 'failed-rollback-stays-failed',
    applies: ({ state }, event) =>
      state === 'Failed' && event.kind === 'RollbackComplete' && event.exitCode !== 0,
    makes: ({ state, revertedAt, revertedTo, currentClosure }) => ({
      ...{ state, revertedAt, revertedTo, currentClosure },
    }),
  },
  {
    name: 'first-stamps-cleared-on-activation',
    applies: (_, event) => event.kind === 'ActivationCompleted',
    makes: () => ({ probeObservedFirstAt: null, probeFailureFirstAt: null }),
  },
  {
    name: 'policy-applied-from-deferred',
    applies: (before, event) => before.state === 'Deferred' && event.kind === 'ActivationFailed',
    makes: (_before, _event, { onHealthFailure }) => ({ policyApplied: onHealthFailure }),
  },
  {
    name: 'declared-probes-kept',
    applies: (_, event) => event.kind === 'ProbeTopologyDeclared',
    makes: (_, event) =>
      event.kind === 'ProbeTopologyDeclared' ? { declaredProbes: event.probes } : {},
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
  policy: Policy,
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
  report.add(
    difference,
    explain(different, got.record, (rule) =>
      rule.applies(before, event) ? rule.makes(before, event, policy) : {},
    ),
  );
}

/** The rules that together account for every differing field, and for its value; none if one is left. */
function explain(
  fields: readonly string[],
  got: HostRecord,
  madeBy: (rule: Rule) => Partial<HostRecord>,
): string[] {
  const gotFields = new Map(Object.entries(got));
  const used = new Set<string>();
  for (const field of fields) {
    const rule = RULES.find((candidate) => {
      const made = new Map(Object.entries(madeBy(candidate)));
      return made.has(field) && sorted(made.get(field)) === sorted(gotFields.get(field));
    });
    if (rule === undefined) return [];
    used.add(rule.name);
  }
  return [...used];
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
