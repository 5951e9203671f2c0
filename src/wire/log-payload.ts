/**
 * The facts of each kind of log row, the same in formats 1 and 2: what `payload` holds beside `v`, `set` and `changes`. A fact
 * that is not described here is not written: tests and the simulator hold every row they see to it.
 */
import { Type, type TObject, type TProperties, type TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { LogKind } from '../reducer/log.ts';
import { explainError } from './explain.ts';
import { decodeHostEvent } from './event.ts';
import { isJsonObject } from './text.ts';

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const Seq = Type.Integer({ minimum: 1 });
const List = Type.Array(Text);
const Maybe = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Refused = Type.Literal('refused');

/** What the leader looked up under lock; in an input's own row only. */
const Observed = Type.Object({
  offers: Type.Array(
    Type.Object({ rolloutId: Text, hostname: Text, firstOfferedAt: Text, lastOfferedAt: Text }),
  ),
  heard: Type.Array(Type.Object({ hostname: Text, at: Text })),
});

const facts = (fields: TProperties): TObject =>
  Type.Object(fields, { additionalProperties: false });
const input = (fields: TProperties): TObject =>
  facts({ ...fields, observed: Type.Optional(Observed) });

const Moved = { from: Text, to: Text };
const Hosts = { reason: Text, hosts: List };
const ManifestSet = {
  ...{ fleetHash: Text, signedAt: Text, ref: Maybe(Text) },
  manifests: Type.Array(Type.Object({ rolloutId: Text, hash: Text })),
};

const Certificate = Type.Object({ serial: Text, notBefore: Text, notAfter: Text });
const Enrolment = {
  ...{ nonce: Text, csrHash: Text, keyFingerprint: Text, tokenExpiresAt: Text },
  ...{ nonceExpiresAt: Text, certificate: Certificate },
};

const KINDS: Readonly<Record<LogKind, readonly TObject[]>> = {
  agent_event: [
    input({ event: Type.Unknown(), verdict: Type.Literal('applied'), gap: Type.Optional(Count) }),
    input({
      ...{ event: Type.Unknown(), verdict: Refused, code: Text, detail: Text },
      state: Type.Optional(Text),
    }),
    input({ verdict: Refused, code: Text, detail: Text, seq: Maybe(Seq), excerpt: Text }),
  ],
  host_report: [
    input({
      ...{ at: Text, closure: Maybe(Text), agentVersion: Maybe(Text) },
      lastEventSeqByRollout: Type.Record(Text, Type.Integer()),
      rolloutId: Type.Optional(Text),
    }),
    facts({ noted: List }),
  ],
  transition: [
    facts(Moved),
    facts({ ...Moved, unchanged: Type.Literal(true) }),
    facts({ ...Moved, synthesised: Text }),
    facts({ ...Moved, closed: Text }),
  ],
  rollout_event: [
    facts({ event: Type.Literal('RolloutOpened'), hosts: Count, waves: Count }),
    facts({ event: Text, ...Moved }),
    facts({ event: Text, ...Moved, successor: Text, openedBy: Seq }),
    facts({ event: Text, ...Moved, failures: Count, reverted: Count, maxFailures: Count }),
    facts({ event: Text, ...Moved, fromWave: Count, toWave: Count, empty: Type.Boolean() }),
    facts({ event: Text, ...Moved, exceptions: Type.Record(Text, Count) }),
    input({ event: Type.Literal('RetentionExpired'), ...Moved }),
  ],
  plan_action: [
    input({ action: Type.Literal('Tick'), hearing: Type.Optional(Type.Boolean()) }),
    facts({
      ...{ action: Type.Literal('QueueDispatch'), targetClosure: Text, soakDueAt: Text },
      wave: Count,
    }),
    facts({ action: Type.Literal('WithdrawDispatch'), ...Hosts }),
    facts({ action: Type.Literal('SuspendDispatch'), ...Hosts }),
    facts({ action: Type.Literal('ResumeDispatch'), ...Hosts }),
    facts({ action: Type.Literal('Quarantine'), closure: Text }),
    facts({ action: Type.Literal('StuckMove'), state: Text, lastAcceptedAt: Maybe(Text) }),
    facts({ action: Type.Literal('HoldRef'), waitingRef: Maybe(Text), note: Maybe(Text) }),
    facts({ action: Type.Literal('RefuseRef'), waitingRef: Maybe(Text), note: Maybe(Text) }),
  ],
  gate_decision: [
    facts({ scope: Type.Literal('host'), gates: List, hosts: List }),
    facts({ scope: Type.Literal('rollout'), gates: List }),
  ],
  verify_outcome: [
    input({
      ...{ artifact: Text, ok: Type.Boolean(), reason: Maybe(Text), detail: Text },
      hash: Maybe(Text),
    }),
    input({ artifact: Type.Literal('trust'), rejectBefore: Maybe(Text) }),
  ],
  manifest_set: [
    input(ManifestSet),
    input({ ...ManifestSet, verdict: Refused, code: Text, detail: Text }),
  ],
  operator_command: [
    input({
      ...{ command: Type.Object({ command: Text }), reason: Text },
      ...{ expectedSeq: Type.Optional(Count), cleared: Type.Optional(List) },
      ...{ verdict: Type.Optional(Refused), code: Type.Optional(Text) },
      detail: Type.Optional(Text),
    }),
  ],
  liveness: [
    facts({ event: Type.Literal('HostReachable'), before: Text }),
    input({
      event: Type.Literal('HostUnreachable'),
      hosts: Type.Array(Type.Object({ hostname: Text, lastHeardAt: Maybe(Text) })),
    }),
  ],
  enrolment: [
    input({ event: Type.Literal('EnrolmentRequested'), ...Enrolment }),
    input({
      ...{ event: Type.Literal('EnrolmentRequested'), ...Enrolment },
      ...{ verdict: Refused, code: Text, detail: Text },
    }),
    input({
      ...{ event: Type.Literal('EnrolmentRefused'), nonce: Text, keyFingerprint: Text },
      ...{ code: Text, detail: Text },
    }),
    input({
      ...{ event: Type.Literal('CertificateRenewed'), csrHash: Text, keyFingerprint: Text },
      ...{ previousKeyFingerprint: Maybe(Text), certificate: Certificate },
    }),
    facts({ event: Type.Literal('NoncesForgotten'), nonces: List }),
  ],
  leadership: [
    input({
      ...{ event: Type.Literal('LeaderStarted'), epoch: Seq, holder: Text, version: Text },
      ...{ incarnation: Text, settings: Type.Record(Text, Type.Number()) },
      otherDatabase: Type.Optional(Type.Literal(true)),
    }),
  ],
};

const CHECKS = new Map(
  Object.entries(KINDS).map(([kind, shapes]) => [
    kind,
    TypeCompiler.Compile(Type.Union([...shapes])),
  ]),
);

/** What is wrong with the facts of a row of this kind; null when nothing is. */
export function payloadProblem(kind: LogKind, payload: unknown): string | null {
  const check = CHECKS.get(kind);
  if (check === undefined) return `no facts are described for ${kind}`;
  if (!check.Check(payload)) {
    return `${kind}: ${explainError(check.Errors(payload).First(), 'payload')}: ${JSON.stringify(payload)}`;
  }
  if (kind !== 'agent_event' || !isJsonObject(payload) || payload['event'] === undefined)
    return null;
  const event = decodeHostEvent(payload['event']);
  return event.ok ? null : `${kind}: ${event.detail}`;
}
