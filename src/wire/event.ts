/**
 * What agents report, as they write it: one schema for each kind, in the exact casing that existing agents
 * send, and one decoder that turns a stranger's JSON into the reducer's HostEvent. Unknown members are
 * dropped (agents may be newer), null optionals count as absent, times become canonical. Whatever cannot be
 * decoded comes back as a reason with whatever could be read of it, because such events are kept too.
 */
import { Type, type Static, type TObject } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { HostEvent, HostEventKind, SubResult } from '../reducer/host/events.ts';
import type { Time } from '../reducer/time.ts';
import { explainError } from './explain.ts';
import { isSeq, SeqSchema } from './ids.ts';
import { canonicalTime, NO_INSTANT, TimeSchema } from './instant.ts';
import { isJsonObject, storableText } from './text.ts';

/**
 * Names that become parts of a key. A probe failure's key holds a probe and a control name beside rollout
 * and host (382 bytes); at 4 bytes a character two of 256 keep it under the 2,704 bytes of a btree entry.
 */
const Name = Type.String({ maxLength: 256 });
/** Store paths are ~100 characters; the quarantine key holds one closure and a channel (see above). */
const Closure = Type.String({ maxLength: 512, description: 'Opaque hash of what a host runs.' });
/** Free text is bounded by the body limit only. */
const Text = Type.String();
const ExitCode = Type.Integer({
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
});
/** A host declares a few dozen probes; a thousand is a mistake. */
const MAX_PROBES = 1_000;

const Mode = Type.Union([
  Type.Literal('enforce'),
  Type.Literal('observe'),
  Type.Literal('disabled'),
]);
const ProbeVerdict = Type.Union([Type.Literal('pass'), Type.Literal('fail')]);
const Policy = Type.Union([Type.Literal('halt'), Type.Literal('rollback-and-halt')]);

const OptionalText = Type.Optional(Type.Union([Text, Type.Null()]));

const SubResultSchema = Type.Object({
  controlId: Name,
  status: ProbeVerdict,
  framework: Text,
  article: OptionalText,
  effectiveMode: Type.Optional(Type.Union([Mode, Type.Null()])),
  overrideReason: OptionalText,
});

const DispatchAck = Type.Object({
  kind: Type.Literal('DispatchAck'),
  seq: SeqSchema,
  currentClosureAtDispatch: Closure,
  receivedAt: TimeSchema,
});
const ActivationStarted = Type.Object({
  kind: Type.Literal('ActivationStarted'),
  seq: SeqSchema,
  startedAt: TimeSchema,
  switchMethod: Text,
});
const ActivationCompleted = Type.Object({
  kind: Type.Literal('ActivationCompleted'),
  seq: SeqSchema,
  observedCurrentClosure: Closure,
  exitCode: ExitCode,
  completedAt: TimeSchema,
});
const ActivationFailed = Type.Object({
  kind: Type.Literal('ActivationFailed'),
  seq: SeqSchema,
  exitCode: ExitCode,
  stderrTail: Text,
  failedAt: TimeSchema,
});
const ActivationDeferred = Type.Object({
  kind: Type.Literal('ActivationDeferred'),
  seq: SeqSchema,
  component: Text,
  deferredAt: TimeSchema,
});
const ProbeTopologyDeclared = Type.Object({
  kind: Type.Literal('ProbeTopologyDeclared'),
  seq: SeqSchema,
  probes: Type.Array(Type.Object({ probeName: Name, kind: Text, mode: Mode }), {
    maxItems: MAX_PROBES,
  }),
  declaredAt: TimeSchema,
});
const ProbeObservedFirst = Type.Object({
  kind: Type.Literal('ProbeObservedFirst'),
  seq: SeqSchema,
  probeName: Name,
  mode: Mode,
  observedAt: TimeSchema,
});
const ProbeResult = Type.Object({
  kind: Type.Literal('ProbeResult'),
  seq: SeqSchema,
  probeName: Name,
  mode: Mode,
  status: ProbeVerdict,
  observedAt: TimeSchema,
  failureReason: OptionalText,
  subResults: Type.Optional(Type.Union([Type.Array(SubResultSchema), Type.Null()])),
});
const ProbeFailureFirst = Type.Object({
  kind: Type.Literal('ProbeFailureFirst'),
  seq: SeqSchema,
  probeName: Name,
  mode: Mode,
  firstFailedAt: TimeSchema,
});
const Failed = Type.Object({
  kind: Type.Literal('Failed'),
  seq: SeqSchema,
  failedAt: TimeSchema,
  sustainedDurationSecs: Type.Number({ minimum: 0 }),
  failingProbes: Type.Array(Name, { maxItems: MAX_PROBES }),
  policyApplied: Policy,
});
const RollbackComplete = Type.Object({
  kind: Type.Literal('RollbackComplete'),
  seq: SeqSchema,
  revertedToClosure: Closure,
  exitCode: ExitCode,
  completedAt: TimeSchema,
});
const Converged = Type.Object({
  kind: Type.Literal('Converged'),
  seq: SeqSchema,
  convergedAt: TimeSchema,
  currentClosure: Closure,
});

/** Every kind, for documentation and for those who store events. */
export const HostEventSchema = Type.Union(
  [
    DispatchAck,
    ActivationStarted,
    ActivationCompleted,
    ActivationFailed,
    ActivationDeferred,
    ProbeTopologyDeclared,
    ProbeObservedFirst,
    ProbeResult,
    ProbeFailureFirst,
    Failed,
    RollbackComplete,
    Converged,
  ],
  { description: 'One thing that happened on a host, in order of its own seq.' },
);

export type EventDecode =
  | { readonly ok: true; readonly event: HostEvent }
  | {
      readonly ok: false;
      readonly code: 'unknown-kind' | 'malformed';
      readonly seq: number | null;
      /** A sentence that says where, and what to send instead. */
      readonly detail: string;
    };

type Decoder = (value: unknown) => EventDecode;

function malformed(value: unknown, detail: string): EventDecode {
  const seq = isJsonObject(value) && isSeq(value['seq']) ? value['seq'] : null;
  return { ok: false, code: 'malformed', seq, detail };
}

/** Every kind carries exactly one instant; `time` finds it and `build` names the fields that are kept. */
function decoder<T extends TObject>(
  schema: T,
  time: (event: Static<T>) => string,
  build: (event: Static<T>, at: Time) => HostEvent,
): Decoder {
  const check = TypeCompiler.Compile(schema);
  return (value) => {
    if (!check.Check(value))
      return malformed(value, explainError(check.Errors(value).First(), 'event'));
    const at = canonicalTime(time(value));
    if (at === null) {
      return malformed(value, `event: "${time(value)}" ${NO_INSTANT}`);
    }
    return { ok: true, event: build(value, at) };
  };
}

function absent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function subResult(raw: Static<typeof SubResultSchema>): SubResult {
  return {
    controlId: raw.controlId,
    status: raw.status,
    framework: raw.framework,
    ...(absent(raw.article) ? {} : { article: raw.article }),
    ...(absent(raw.effectiveMode) ? {} : { effectiveMode: raw.effectiveMode }),
    ...(absent(raw.overrideReason) ? {} : { overrideReason: raw.overrideReason }),
  };
}

function probeResult(raw: Static<typeof ProbeResult>, observedAt: Time): HostEvent {
  const { kind, seq, probeName, mode, status } = raw;
  return {
    ...{ kind, seq, probeName, mode, status, observedAt },
    ...(absent(raw.failureReason) ? {} : { failureReason: raw.failureReason }),
    ...(absent(raw.subResults) ? {} : { subResults: raw.subResults.map(subResult) }),
  };
}

const DECODERS: Readonly<Record<HostEventKind, Decoder>> = {
  DispatchAck: decoder(
    DispatchAck,
    (e) => e.receivedAt,
    ({ kind, seq, currentClosureAtDispatch }, receivedAt) => ({
      kind,
      seq,
      currentClosureAtDispatch,
      receivedAt,
    }),
  ),
  ActivationStarted: decoder(
    ActivationStarted,
    (e) => e.startedAt,
    ({ kind, seq, switchMethod }, startedAt) => ({ kind, seq, startedAt, switchMethod }),
  ),
  ActivationCompleted: decoder(
    ActivationCompleted,
    (e) => e.completedAt,
    ({ kind, seq, observedCurrentClosure, exitCode }, completedAt) => ({
      ...{ kind, seq, observedCurrentClosure, exitCode, completedAt },
    }),
  ),
  ActivationFailed: decoder(
    ActivationFailed,
    (e) => e.failedAt,
    ({ kind, seq, exitCode, stderrTail }, failedAt) => ({
      kind,
      seq,
      exitCode,
      stderrTail,
      failedAt,
    }),
  ),
  ActivationDeferred: decoder(
    ActivationDeferred,
    (e) => e.deferredAt,
    ({ kind, seq, component }, deferredAt) => ({ kind, seq, component, deferredAt }),
  ),
  ProbeTopologyDeclared: decoder(
    ProbeTopologyDeclared,
    (e) => e.declaredAt,
    (e, declaredAt) => ({
      kind: e.kind,
      seq: e.seq,
      probes: e.probes.map(({ probeName, kind, mode }) => ({ probeName, kind, mode })),
      declaredAt,
    }),
  ),
  ProbeObservedFirst: decoder(
    ProbeObservedFirst,
    (e) => e.observedAt,
    ({ kind, seq, probeName, mode }, observedAt) => ({ kind, seq, probeName, mode, observedAt }),
  ),
  ProbeResult: decoder(ProbeResult, (e) => e.observedAt, probeResult),
  ProbeFailureFirst: decoder(
    ProbeFailureFirst,
    (e) => e.firstFailedAt,
    ({ kind, seq, probeName, mode }, firstFailedAt) => ({
      kind,
      seq,
      probeName,
      mode,
      firstFailedAt,
    }),
  ),
  Failed: decoder(
    Failed,
    (e) => e.failedAt,
    ({ kind, seq, sustainedDurationSecs, failingProbes, policyApplied }, failedAt) => ({
      ...{ kind, seq, failedAt, sustainedDurationSecs, failingProbes, policyApplied },
    }),
  ),
  RollbackComplete: decoder(
    RollbackComplete,
    (e) => e.completedAt,
    ({ kind, seq, revertedToClosure, exitCode }, completedAt) => ({
      ...{ kind, seq, revertedToClosure, exitCode, completedAt },
    }),
  ),
  Converged: decoder(
    Converged,
    (e) => e.convergedAt,
    ({ kind, seq, currentClosure }, convergedAt) => ({ kind, seq, convergedAt, currentClosure }),
  ),
};

/** A Map, so that a kind named like a member of Object.prototype is merely unknown. */
const BY_KIND: ReadonlyMap<string, Decoder> = new Map(Object.entries(DECODERS));

/** Decodes the `event` member of a post, after `parseJsonText`. */
export function decodeHostEvent(value: unknown): EventDecode {
  if (!isJsonObject(value))
    return malformed(value, 'event must be an object with `kind` and `seq`');
  const kind = value['kind'];
  if (typeof kind !== 'string')
    return malformed(value, 'event.kind is missing; send the name of the kind');
  const decode = BY_KIND.get(kind);
  if (decode !== undefined) return decode(value);
  const known = [...BY_KIND.keys()].join(', ');
  const seq = isSeq(value['seq']) ? value['seq'] : null;
  const shown = storableText(kind.slice(0, 64));
  const detail = `event.kind "${shown}" is unknown; this control plane knows ${known}`;
  return { ok: false, code: 'unknown-kind', seq, detail };
}
