/**
 * Inputs as they lie in the queue. The leader decodes each again: what it reduces was written by a process
 * that may be older or newer than itself. A payload that does not decode is poison, never a crash.
 */
import { type Static, type TSchema, type TString, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { Input, LeadershipInput, ManifestSetInput } from '../reducer/input.ts';
import { CommandSchema } from './command.ts';
import { decodeFleetContent, decodeManifestContent } from './content.ts';
import { decodeHostEvent } from './event.ts';
import { explainError } from './explain.ts';
import { CanonicalTimeSchema } from './instant.ts';

/** A manifest set names its artifacts by hash; their content is stored beside their bytes. */
export interface StoredManifestSet {
  readonly kind: 'ManifestSetUpdated';
  readonly fleetHash: string;
  readonly manifests: readonly { readonly rolloutId: string; readonly hash: string }[];
}

/**
 * An input as it is queued: all kinds but one are stored whole. A takeover is no such kind: each term makes its own,
 * and who may only add to the queue must not be able to write one into the log.
 */
export type StoredInput = Exclude<Input, ManifestSetInput | LeadershipInput> | StoredManifestSet;

/** An input as the log tells of it: takeovers are there too. */
export type LoggedInput = StoredInput | LeadershipInput;

export class InputDecodeError extends Error {
  override readonly name = 'InputDecodeError';
}

const Text = Type.String();
const Maybe = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const AgentEvent = Type.Object({
  kind: Type.Literal('AgentEvent'),
  hostname: Text,
  rolloutId: Text,
  event: Type.Unknown(),
});

const UNTIMED = {
  RefusedEvent: Type.Object({
    kind: Type.Literal('RefusedEvent'),
    hostname: Text,
    rolloutId: Maybe(Text),
    code: Type.Union([
      Type.Literal('unknown-kind'),
      Type.Literal('malformed'),
      Type.Literal('too-large'),
    ]),
    seq: Maybe(Type.Integer()),
    detail: Text,
    excerpt: Text,
  }),
  ManifestSetUpdated: Type.Object({
    kind: Type.Literal('ManifestSetUpdated'),
    fleetHash: Text,
    manifests: Type.Array(Type.Object({ rolloutId: Text, hash: Text })),
  }),
  VerifyOutcome: Type.Object({
    kind: Type.Literal('VerifyOutcome'),
    artifact: Text,
    ok: Type.Boolean(),
    reason: Maybe(Text),
    detail: Text,
    hash: Maybe(Text),
  }),
  Tick: Type.Object({ kind: Type.Literal('Tick'), hearing: Type.Optional(Type.Boolean()) }),
  RetentionExpired: Type.Object({ kind: Type.Literal('RetentionExpired'), rolloutId: Text }),
  EnrolmentRefused: Type.Object({
    kind: Type.Literal('EnrolmentRefused'),
    hostname: Text,
    nonce: Text,
    keyFingerprint: Text,
    code: Text,
    detail: Text,
  }),
  OperatorCommand: Type.Object({
    kind: Type.Literal('OperatorCommand'),
    actor: Text,
    reason: Text,
    expectedSeq: Maybe(Type.Integer()),
    command: CommandSchema,
  }),
} as const;

/** Kinds that tell of instants by themselves, each of which is an `instant`. */
function timed(instant: TString) {
  const certificate = Type.Object({ serial: Text, notBefore: instant, notAfter: instant });
  return {
    HostReport: Type.Object({
      kind: Type.Literal('HostReport'),
      hostname: Text,
      at: instant,
      currentClosure: Maybe(Text),
      rolloutId: Maybe(Text),
      agentVersion: Maybe(Text),
      lastEventSeqByRollout: Type.Record(Text, Type.Integer()),
    }),
    TrustChanged: Type.Object({ kind: Type.Literal('TrustChanged'), rejectBefore: Maybe(instant) }),
    HostsUnreachable: Type.Object({
      kind: Type.Literal('HostsUnreachable'),
      observedAt: instant,
      hosts: Type.Array(Type.Object({ hostname: Text, lastHeardAt: Maybe(instant) })),
    }),
    EnrolmentRequested: Type.Object({
      kind: Type.Literal('EnrolmentRequested'),
      hostname: Text,
      nonce: Text,
      csrHash: Text,
      keyFingerprint: Text,
      tokenExpiresAt: instant,
      nonceExpiresAt: instant,
      certificate,
    }),
    CertificateRenewed: Type.Object({
      kind: Type.Literal('CertificateRenewed'),
      hostname: Text,
      csrHash: Text,
      keyFingerprint: Text,
      previousKeyFingerprint: Maybe(Text),
      certificate,
    }),
  } as const;
}

function decoder<T extends TSchema>(name: string, schema: T): (payload: unknown) => Static<T> {
  const check = TypeCompiler.Compile(schema);
  return (payload) => {
    if (check.Check(payload)) return payload;
    throw new InputDecodeError(explainError(check.Errors(payload).First(), name));
  };
}

const decodePosted = decoder('AgentEvent', AgentEvent);

function decodeAgentEvent(payload: unknown): StoredInput {
  const { kind, hostname, rolloutId, event } = decodePosted(payload);
  const decoded = decodeHostEvent(event);
  if (!decoded.ok) throw new InputDecodeError(decoded.detail);
  return { kind, hostname, rolloutId, event: decoded.event };
}

type Decode = (payload: unknown) => StoredInput;
type Decoders = ReadonlyMap<string, Decode>;

function timedDecoders(instant: TString): Decoders {
  const schemas = timed(instant);
  return new Map<string, Decode>([
    ['HostReport', decoder('HostReport', schemas.HostReport)],
    ['TrustChanged', decoder('TrustChanged', schemas.TrustChanged)],
    ['HostsUnreachable', decoder('HostsUnreachable', schemas.HostsUnreachable)],
    ['EnrolmentRequested', decoder('EnrolmentRequested', schemas.EnrolmentRequested)],
    ['CertificateRenewed', decoder('CertificateRenewed', schemas.CertificateRenewed)],
  ]);
}

const DECODERS: Decoders = new Map<string, Decode>([
  ['AgentEvent', decodeAgentEvent],
  ['RefusedEvent', decoder('RefusedEvent', UNTIMED.RefusedEvent)],
  ['ManifestSetUpdated', decoder('ManifestSetUpdated', UNTIMED.ManifestSetUpdated)],
  ['VerifyOutcome', decoder('VerifyOutcome', UNTIMED.VerifyOutcome)],
  ['Tick', decoder('Tick', UNTIMED.Tick)],
  ['RetentionExpired', decoder('RetentionExpired', UNTIMED.RetentionExpired)],
  ['EnrolmentRefused', decoder('EnrolmentRefused', UNTIMED.EnrolmentRefused)],
  ['OperatorCommand', decoder('OperatorCommand', UNTIMED.OperatorCommand)],
  ...timedDecoders(CanonicalTimeSchema),
]);

/** What was decided is told as it was, whatever it held: logs are older than the rule for instants. */
const OF_LOG: Decoders = timedDecoders(Text);

/** Every kind that a queue row may have. */
export const INPUT_KINDS: readonly string[] = [...DECODERS.keys()];

/** The input that a queue row holds; throws `InputDecodeError` when it holds none. */
export function decodeStoredInput(kind: string, payload: unknown): StoredInput {
  const decode = DECODERS.get(kind);
  if (decode === undefined) throw new InputDecodeError(`there is no input of kind ${kind}`);
  return decode(payload);
}

const decodeTakeover = decoder(
  'LeaderStarted',
  Type.Object({
    kind: Type.Literal('LeaderStarted'),
    epoch: Type.Integer(),
    holder: Text,
    version: Text,
    incarnation: Text,
    otherDatabase: Type.Optional(Type.Literal(true)),
  }),
);

/** The same of what the log tells. */
export function decodeLoggedInput(kind: string, payload: unknown): LoggedInput {
  if (kind === 'LeaderStarted') return decodeTakeover(payload);
  return OF_LOG.get(kind)?.(payload) ?? decodeStoredInput(kind, payload);
}

/** The hashes whose stored content an input needs before it can be reduced. */
export function contentHashes(stored: LoggedInput): readonly string[] {
  if (stored.kind !== 'ManifestSetUpdated') return [];
  return [stored.fleetHash, ...stored.manifests.map((manifest) => manifest.hash)];
}

/** The input as the reducer takes it. `content` gives the stored content of a hash. */
export function hydrate(stored: LoggedInput, content: (hash: string) => unknown): Input {
  if (stored.kind !== 'ManifestSetUpdated') return stored;
  return {
    kind: 'ManifestSetUpdated',
    fleet: decodeFleetContent(stored.fleetHash, content(stored.fleetHash)),
    manifests: stored.manifests.map(({ hash }) => decodeManifestContent(hash, content(hash))),
  };
}
