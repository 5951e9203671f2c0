/**
 * One event on one host record: the transition table of a host, written once. An agent applies it to its
 * own event before it acts (`local`); the control plane applies it to the event that the agent posted
 * (`remote`). Both reach the same record; only the effects differ.
 *
 * A refusal is a value and changes nothing; `step` never throws on a decodable event.
 */
import type { Time } from '../time.ts';
import type { HealthPolicy, HostEvent } from './events.ts';
import type { HostRecord, ProbeStatus } from './record.ts';

export interface StepPolicy {
  readonly onHealthFailure: HealthPolicy;
}

/** Which twin is stepping. */
export type Side = 'local' | 'remote';

/** The fields an event gives a record. `probes` is merged by name; null empties it. */
export type RecordPatch = Partial<Omit<HostRecord, 'probes'>> & {
  readonly probes?: Readonly<Record<string, ProbeStatus>> | null;
};

/** To be done in this order, after the record is durable. The last four are an agent's alone. */
export type StepEffect =
  | { readonly kind: 'Quarantine'; readonly channel: string; readonly closure: string }
  | { readonly kind: 'PostEvent'; readonly event: HostEvent }
  | { readonly kind: 'ResetProbes' }
  | { readonly kind: 'FireSwitch'; readonly closure: string }
  | { readonly kind: 'FireRollback'; readonly closure: string };

export type StepRefusalCode = 'seq-regression' | 'illegal-transition' | 'invariant-violated';

export interface StepRefusal {
  readonly ok: false;
  readonly code: StepRefusalCode;
  /** The numbers or names behind the code, as a sentence. */
  readonly detail: string;
}

export interface Stepped {
  readonly ok: true;
  readonly record: HostRecord;
  /** What changed, `lastEventSeq` always included. */
  readonly set: RecordPatch;
  readonly effects: readonly StepEffect[];
  /** How many seqs were skipped; legal, since agents may drop non-durable probe events. */
  readonly gap: number;
}

export type StepResult = Stepped | StepRefusal;

type Patched = { readonly set: RecordPatch; readonly effects?: readonly StepEffect[] };

/** Applies `event` to `record`, or says why not. */
export function step(
  record: HostRecord,
  event: HostEvent,
  policy: StepPolicy,
  side: Side = 'remote',
): StepResult {
  if (event.seq <= record.lastEventSeq) {
    return refuse(
      'seq-regression',
      `seq ${event.seq} is not above the last applied, ${record.lastEventSeq}`,
    );
  }
  const outcome = record.closed === null ? transition(record, event, policy, side) : null;
  if (outcome === null) return refuse('illegal-transition', describeIllegal(record, event));
  if ('ok' in outcome) return outcome;
  const set: RecordPatch = { ...outcome.set, lastEventSeq: event.seq };
  const posted: readonly StepEffect[] = side === 'local' ? [{ kind: 'PostEvent', event }] : [];
  return {
    ok: true,
    record: patchRecord(record, set),
    set,
    effects: [...posted, ...(outcome.effects ?? [])],
    gap: event.seq - record.lastEventSeq - 1,
  };
}

/** `record` with `set` assigned; probes merge by name, null empties them. */
export function patchRecord<R extends HostRecord>(record: R, set: RecordPatch): R {
  const { probes, ...fields } = set;
  if (probes === undefined) return { ...record, ...fields };
  return { ...record, ...fields, probes: probes === null ? {} : { ...record.probes, ...probes } };
}

/** True while the control plane set Soaking by itself and no real event has confirmed it. */
export function isSynthesisedSoaking(record: HostRecord): boolean {
  return record.state === 'Soaking' && record.synthesised !== null;
}

function transition(
  record: HostRecord,
  event: HostEvent,
  policy: StepPolicy,
  side: Side,
): Patched | StepRefusal | null {
  const { state } = record;
  const guessed = isSynthesisedSoaking(record);
  switch (event.kind) {
    case 'DispatchAck':
      return state === 'Pending' ? acknowledged(record, event, side) : null;
    case 'ActivationStarted':
      return state === 'Activating' ? { set: { activationStartedAt: event.startedAt } } : null;
    case 'ActivationCompleted':
      return state === 'Activating' || state === 'Deferred' || guessed
        ? completed(event, side)
        : null;
    case 'ActivationDeferred':
      return state === 'Activating' || guessed
        ? { set: { state: 'Deferred', ...(guessed ? WITHOUT_GUESS : {}) } }
        : null;
    case 'ActivationFailed':
      return state === 'Activating' || state === 'Deferred' || guessed
        ? activationFailed(record, event, policy, side)
        : null;
    case 'ProbeTopologyDeclared':
      return state === 'Soaking' ? { set: { declaredProbes: event.probes } } : null;
    case 'ProbeObservedFirst':
      return state === 'Soaking'
        ? firstStamp(record, 'probeObservedFirstAt', event.observedAt)
        : null;
    case 'ProbeFailureFirst':
      return state === 'Soaking'
        ? firstStamp(record, 'probeFailureFirstAt', event.firstFailedAt)
        : null;
    case 'ProbeResult':
      return state === 'Soaking' ? probed(record, event) : null;
    case 'Failed':
      return state === 'Soaking' ? failed(record, event, side) : null;
    case 'Converged':
      return state === 'Soaking' ? converged(record, event) : null;
    case 'RollbackComplete':
      return state === 'Failed' || guessed ? rolledBack(record, event, policy) : null;
  }
}

type Of<K extends HostEvent['kind']> = Extract<HostEvent, { kind: K }>;

/** Of what was guessed nothing is left when the real event says that it was not so. */
const WITHOUT_GUESS: RecordPatch = {
  synthesised: null,
  activationCompletedAt: null,
  currentClosure: null,
};

function acknowledged(record: HostRecord, event: Of<'DispatchAck'>, side: Side): Patched {
  return {
    set: {
      state: 'Activating',
      currentClosureAtDispatch: event.currentClosureAtDispatch,
      dispatchAckedAt: event.receivedAt,
    },
    effects: side === 'local' ? [{ kind: 'FireSwitch', closure: record.targetClosure }] : [],
  };
}

// What a probe said before the switch says nothing of what runs after it.
function completed(event: Of<'ActivationCompleted'>, side: Side): Patched {
  return {
    set: {
      state: 'Soaking',
      activationCompletedAt: event.completedAt,
      currentClosure: event.observedCurrentClosure,
      probes: null,
      probeObservedFirstAt: null,
      probeFailureFirstAt: null,
      synthesised: null,
    },
    effects: side === 'local' ? [{ kind: 'ResetProbes' }] : [],
  };
}

function activationFailed(
  record: HostRecord,
  event: Of<'ActivationFailed'>,
  policy: StepPolicy,
  side: Side,
): Patched {
  return {
    set: {
      state: 'Failed',
      activationFailedAt: event.failedAt,
      failedAt: event.failedAt,
      policyApplied: policy.onHealthFailure,
      ...(isSynthesisedSoaking(record) ? WITHOUT_GUESS : {}),
    },
    effects: side === 'local' ? rollback(record, policy.onHealthFailure) : [],
  };
}

function firstStamp(
  record: HostRecord,
  field: 'probeObservedFirstAt' | 'probeFailureFirstAt',
  at: Time,
): Patched {
  return { set: record[field] === null ? { [field]: at } : {} };
}

/** As many as a host may declare: each event copies and stores them all, so that their number must have an end. */
export const MOST_PROBES = 1_000;
/** UTF-16 units of a reason that the record keeps, for people to read; the event in the log has the whole. */
const MOST_REASON = 1_000;

function probed(record: HostRecord, event: Of<'ProbeResult'>): Patched | StepRefusal {
  const before = Object.hasOwn(record.probes, event.probeName)
    ? record.probes[event.probeName]
    : undefined;
  if (before === undefined && Object.keys(record.probes).length >= MOST_PROBES) {
    const known = `results of ${String(MOST_PROBES)} probes are known, which is all that are kept`;
    return refuse('invariant-violated', `${known}: ${event.probeName} is none of them`);
  }
  const status: ProbeStatus = {
    status: event.status,
    mode: event.mode,
    lastObservedAt: event.observedAt,
    lastPassAt: event.status === 'pass' ? event.observedAt : (before?.lastPassAt ?? null),
    failureReason: event.status === 'fail' ? briefly(event.failureReason ?? null) : null,
  };
  return { set: { probes: { [event.probeName]: status } } };
}

/** Never half of a surrogate pair: it could not be stored. */
function briefly(reason: string | null): string | null {
  if (reason === null || reason.length <= MOST_REASON) return reason;
  return `${reason.slice(0, MOST_REASON).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function failed(record: HostRecord, event: Of<'Failed'>, side: Side): Patched {
  return {
    set: { state: 'Failed', failedAt: event.failedAt, policyApplied: event.policyApplied },
    effects: side === 'local' ? rollback(record, event.policyApplied) : [],
  };
}

/** A rollback needs somewhere to go: without a known prior closure there is none. */
function rollback(record: HostRecord, policy: HealthPolicy): readonly StepEffect[] {
  const closure = record.currentClosureAtDispatch;
  if (policy !== 'rollback-and-halt' || closure === null || closure === '') return [];
  return [{ kind: 'FireRollback', closure }];
}

function converged(record: HostRecord, event: Of<'Converged'>): Patched | StepRefusal {
  const broken = brokenInvariants(record, event);
  if (broken.length > 0) return refuse('invariant-violated', broken.join('; '));
  return {
    set: {
      state: 'Converged',
      convergedAt: event.convergedAt,
      currentClosure: event.currentClosure,
    },
  };
}

function brokenInvariants(record: HostRecord, event: Of<'Converged'>): string[] {
  const broken: string[] = [];
  if (event.currentClosure !== record.targetClosure) {
    broken.push(`runs ${event.currentClosure}, not the target ${record.targetClosure}`);
  }
  if (record.soakDueAt !== null && event.convergedAt < record.soakDueAt) {
    broken.push(`converged at ${event.convergedAt}, before the soak is due at ${record.soakDueAt}`);
  }
  for (const [name, probe] of Object.entries(record.probes)) {
    if (probe.mode === 'enforce' && probe.status !== 'pass')
      broken.push(`enforced probe ${name} fails`);
  }
  return broken;
}

function rolledBack(
  record: HostRecord,
  event: Of<'RollbackComplete'>,
  policy: StepPolicy,
): Patched {
  const viaFailed: RecordPatch =
    record.state === 'Failed'
      ? {}
      : {
          state: 'Failed',
          failedAt: event.completedAt,
          policyApplied: policy.onHealthFailure,
          synthesised: null,
        };
  const effects: readonly StepEffect[] = [
    { kind: 'Quarantine', channel: record.channel, closure: record.targetClosure },
  ];
  if (event.exitCode !== 0) return { set: viaFailed, effects };
  return {
    set: {
      ...viaFailed,
      state: 'Reverted',
      revertedAt: event.completedAt,
      revertedTo: event.revertedToClosure,
      currentClosure: event.revertedToClosure,
    },
    effects,
  };
}

function refuse(code: StepRefusalCode, detail: string): StepRefusal {
  return { ok: false, code, detail };
}

function describeIllegal(record: HostRecord, event: HostEvent): string {
  const where = record.closed === null ? record.state : `${record.state} (${record.closed})`;
  return `${event.kind} does not apply to a host that is ${where}`;
}
