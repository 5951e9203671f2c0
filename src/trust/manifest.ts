/** The rollout manifest: one channel at one ref, with the hosts, waves and budgets it was resolved to. */
import { type Static, Type } from '@sinclair/typebox';
import type { RolloutId } from '../wire/ids.ts';
import { budgetLimits, HealthGate, MOST_WAVES } from './fleet.ts';
import { canonicalBytes, sha256Hex } from './jcs.ts';
import { isObject, type Json, type JsonObject, setOwn } from './json.ts';
import {
  ChannelName,
  ChannelRef,
  type Decoded,
  decoder,
  Hostname,
  listOf,
  Meta,
  Name,
  rolloutIdOf,
  textOr,
} from './shape.ts';

const ManifestDocument = Type.Object({
  schemaVersion: Type.Literal(1),
  displayName: textOr(''),
  channel: ChannelName,
  channelRef: ChannelRef,
  fleetResolvedHash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  hostSet: Type.Array(
    Type.Object({
      hostname: Hostname,
      waveIndex: Type.Integer({ minimum: 0, maximum: MOST_WAVES - 1 }),
      targetClosure: Name,
    }),
  ),
  healthGate: HealthGate,
  disruptionBudgets: listOf(Type.Object({ ...budgetLimits, hosts: listOf(Hostname) })),
  meta: Meta,
});

export interface RolloutManifest extends Static<typeof ManifestDocument> {
  /** `{channel}@{channelRef}` */
  rolloutId: RolloutId;
  /** SHA-256 hex of all that a re-signing must leave as it is; see `contentHash`. */
  contentHash: string;
}

const decodeDocument = decoder(ManifestDocument);

export function decodeManifest(json: Json): Decoded<RolloutManifest> {
  const decoded = decodeDocument(json);
  if (!decoded.ok) return decoded;
  const twice = repeatedHost(decoded.value.hostSet);
  if (twice !== undefined)
    return { ok: false, detail: `hostSet: the host "${twice}" stands in it twice` };
  const rolloutId = rolloutIdOf(decoded.value.channel, decoded.value.channelRef);
  return { ok: true, value: { ...decoded.value, rolloutId, contentHash: contentHash(json) } };
}

/**
 * Over everything but `meta` and `fleetResolvedHash`, which change whenever the same rollout is signed
 * again to stay fresh. Unknown fields count: we cannot know what they mean to an agent. Nulls do not.
 */
function contentHash(json: Json): string {
  const source = withoutNulls(json);
  const kept: JsonObject = {};
  for (const [key, value] of isObject(source) ? Object.entries(source) : []) {
    if (key !== 'meta' && key !== 'fleetResolvedHash') setOwn(kept, key, value);
  }
  return sha256Hex(canonicalBytes(kept));
}

function repeatedHost(hostSet: readonly { hostname: string }[]): string | undefined {
  const seen = new Set<string>();
  for (const { hostname } of hostSet) {
    if (seen.has(hostname)) return hostname;
    seen.add(hostname);
  }
  return undefined;
}

/** A deep copy in which a null member is an absent one. */
function withoutNulls(json: Json): Json {
  if (Array.isArray(json)) return json.map(withoutNulls);
  if (!isObject(json)) return json;
  const copy: JsonObject = {};
  for (const [key, value] of Object.entries(json)) {
    if (value !== null) setOwn(copy, key, withoutNulls(value));
  }
  return copy;
}
