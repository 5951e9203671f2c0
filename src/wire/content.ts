/**
 * What decisions need of verified artifacts, as stored beside their bytes: written once by the worker that
 * verified them, read by every leader that takes over. Maps are lists of pairs here, so that a host may
 * bear any name; decoding is strict, because a leader that misreads a declaration decides wrongly.
 */
import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { FleetContent, ManifestContent } from '../reducer/content.ts';
import { explainError } from './explain.ts';

const Text = Type.String();
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const Edges = Type.Array(Type.Object({ gated: Text, gates: Text }));

const StoredFleetSchema = Type.Object({
  v: Type.Literal(1),
  hash: Text,
  signedAt: Text,
  ref: Nullable(Text),
  hosts: Type.Array(Type.Tuple([Text, Text, Nullable(Text)])),
  channels: Type.Array(
    Type.Tuple([Text, Type.Object({ rolloutPolicy: Text, freshnessWindow: Type.Number() })]),
  ),
  policies: Type.Array(
    Type.Tuple([
      Text,
      Type.Object({
        waves: Type.Array(Type.Object({ soakMinutes: Type.Number() })),
        onHealthFailure: Type.Union([Type.Literal('halt'), Type.Literal('rollback-and-halt')]),
        onNewRef: Type.Union([Type.Literal('supersede'), Type.Literal('finish-first')]),
        maxFailures: Nullable(Type.Integer()),
      }),
    ]),
  ),
  waves: Type.Array(
    Type.Tuple([
      Text,
      Type.Array(Type.Object({ hosts: Type.Array(Text), soakMinutes: Type.Number() })),
    ]),
  ),
  edges: Edges,
  channelEdges: Edges,
});
/** `hosts` are `[hostname, channel, closureHash]`. */
export type StoredFleet = Static<typeof StoredFleetSchema>;

const StoredManifestSchema = Type.Object({
  v: Type.Literal(1),
  rolloutId: Text,
  hash: Text,
  displayName: Text,
  channel: Text,
  channelRef: Text,
  signedAt: Text,
  /** What a re-signing must leave as it is, hashed. */
  contentHash: Text,
  hostSet: Type.Array(
    Type.Object({ hostname: Text, waveIndex: Type.Integer({ minimum: 0 }), targetClosure: Text }),
  ),
  maxFailures: Nullable(Type.Integer()),
  budgets: Type.Array(
    Type.Object({
      selector: Type.Object({
        tags: Type.Array(Text),
        tagsAny: Type.Array(Text),
        hosts: Type.Array(Text),
        channel: Nullable(Text),
        all: Type.Boolean(),
      }),
      hosts: Type.Array(Text),
      maxInFlight: Nullable(Type.Integer()),
      maxInFlightPct: Nullable(Type.Number()),
    }),
  ),
});
export type StoredManifest = Static<typeof StoredManifestSchema>;

const fleetCheck = TypeCompiler.Compile(StoredFleetSchema);
const manifestCheck = TypeCompiler.Compile(StoredManifestSchema);

/** The content of a stored fleet.resolved; throws when the row is not one. */
export function decodeFleetContent(hash: string, value: unknown): FleetContent {
  if (!fleetCheck.Check(value)) {
    throw new Error(
      `stored fleet ${hash}: ${explainError(fleetCheck.Errors(value).First(), 'content')}`,
    );
  }
  return {
    hash: value.hash,
    signedAt: value.signedAt,
    ref: value.ref,
    hosts: new Map(
      value.hosts.map(([name, channel, closureHash]) => [name, { channel, closureHash }]),
    ),
    channels: new Map(value.channels),
    policies: new Map(value.policies),
    waves: new Map(value.waves),
    edges: value.edges,
    channelEdges: value.channelEdges,
  };
}

/** The content of a stored rollout manifest; throws when the row is not one. */
export function decodeManifestContent(hash: string, value: unknown): ManifestContent {
  return decodeStoredManifest(hash, value);
}

/** The same, with what the verifier keeps beside it. */
export function decodeStoredManifest(hash: string, value: unknown): StoredManifest {
  if (manifestCheck.Check(value)) return value;
  throw new Error(
    `stored manifest ${hash}: ${explainError(manifestCheck.Errors(value).First(), 'content')}`,
  );
}
