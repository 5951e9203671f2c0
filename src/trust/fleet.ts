/** `fleet.resolved`: what a producer may write, and what the rest of Muster reads of it. */
import { type Static, Type } from '@sinclair/typebox';
import type { RolloutId } from '../wire/ids.ts';
import type { Json } from './json.ts';
import {
  ChannelName,
  type Decoded,
  decoder,
  Hostname,
  HostnameKey,
  listOf,
  mapOf,
  Meta,
  Name,
  nameOrAlias,
  rolloutIdOf,
  Text,
  textOr,
  toMap,
} from './shape.ts';

/** A year. What is longer is a mistake, and far beyond it no date could be written for when it ends. */
const Minutes = Type.Number({ minimum: 0, maximum: 525_600 });
/** Each is opened and, empty, skipped by a row of its own. */
export const MOST_WAVES = 1_000;

export const Selector = Type.Object(
  {
    tags: listOf(Text),
    tagsAny: listOf(Text),
    hosts: listOf(Text),
    channel: Type.Optional(Text),
    all: Type.Boolean({ default: false }),
  },
  { default: {} },
);
export type Selector = Static<typeof Selector>;

export const HealthGate = Type.Object(
  {
    systemdFailedUnits: Type.Optional(Type.Object({ max: Type.Integer({ minimum: 0 }) })),
    complianceProbes: Type.Optional(Type.Object({ required: Type.Boolean() })),
    maxFailures: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { default: {} },
);
export type HealthGate = Static<typeof HealthGate>;

/** The limits of a budget, shared with the rollout manifest. */
export const budgetLimits = {
  selector: Selector,
  maxInFlight: Type.Optional(Type.Integer({ minimum: 0 })),
  maxInFlightPct: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
};

const FleetHost = Type.Object({
  system: Type.Optional(nameOrAlias('platform')),
  tags: listOf(Text),
  channel: ChannelName,
  closureHash: Type.Optional(Name),
  pubkey: Type.Optional(Text),
});
export type FleetHost = Static<typeof FleetHost>;

const Channel = Type.Object({
  rolloutPolicy: Name,
  reconcileIntervalMinutes: Type.Optional(Minutes),
  freshnessWindow: Type.Number({ exclusiveMinimum: 0 }),
  signingIntervalMinutes: Type.Optional(Minutes),
  compliance: Type.Object({ frameworks: listOf(Text), mode: textOr('enforce') }, { default: {} }),
});
export type Channel = Static<typeof Channel>;

const RolloutPolicy = Type.Object({
  strategy: Type.Optional(Text),
  waves: listOf(Type.Object({ selector: Selector, soakMinutes: Minutes }), MOST_WAVES),
  healthGate: HealthGate,
  onHealthFailure: Type.Union([Type.Literal('halt'), Type.Literal('rollback-and-halt')]),
  onNewRef: Type.Union([Type.Literal('supersede'), Type.Literal('finish-first')], {
    default: 'supersede',
  }),
});
export type RolloutPolicy = Static<typeof RolloutPolicy>;

const Wave = Type.Object({ hosts: listOf(Hostname), soakMinutes: Minutes });
export type Wave = Static<typeof Wave>;

/** `gated` waits for `gates`. */
const Edge = Type.Object({
  gated: nameOrAlias('after'),
  gates: nameOrAlias('before'),
  reason: Type.Optional(Text),
});
export type Edge = Static<typeof Edge>;

const FleetDocument = Type.Object({
  schemaVersion: Type.Literal(1),
  hosts: mapOf(HostnameKey, FleetHost),
  channels: mapOf(ChannelName, Channel),
  rolloutPolicies: mapOf(Name, RolloutPolicy, { default: {} }),
  waves: mapOf(ChannelName, listOf(Wave, MOST_WAVES), { default: {} }),
  edges: listOf(Edge),
  channelEdges: listOf(Edge),
  disruptionBudgets: listOf(Type.Object(budgetLimits)),
  meta: Meta,
});

/** Nulls, aliases and absent lists are normalised away; maps are real maps. Windows are minutes. */
export interface Fleet extends Omit<
  Static<typeof FleetDocument>,
  'hosts' | 'channels' | 'rolloutPolicies' | 'waves'
> {
  hosts: ReadonlyMap<string, FleetHost>;
  channels: ReadonlyMap<string, Channel>;
  rolloutPolicies: ReadonlyMap<string, RolloutPolicy>;
  waves: ReadonlyMap<string, readonly Wave[]>;
}

const decodeDocument = decoder(FleetDocument);

export function decodeFleet(json: Json): Decoded<Fleet> {
  const decoded = decodeDocument(json);
  if (!decoded.ok) return decoded;
  const fleet: Fleet = {
    ...decoded.value,
    hosts: toMap(decoded.value.hosts),
    channels: toMap(decoded.value.channels),
    rolloutPolicies: toMap(decoded.value.rolloutPolicies),
    waves: toMap(decoded.value.waves),
  };
  const stray = strayHost(fleet);
  return stray === undefined ? { ok: true, value: fleet } : { ok: false, detail: stray };
}

/** The widest window of its channels, in minutes: how long the fleet itself counts as fresh. */
export function largestWindow(fleet: Fleet): number {
  let largest = 0;
  for (const channel of fleet.channels.values())
    largest = Math.max(largest, channel.freshnessWindow);
  return largest;
}

export interface DeclaredRollout {
  channel: string;
  rolloutId: RolloutId;
}

/** The rollout that each channel declares: those with a host that has a closure, at the fleet's ref. */
export function declaredRollouts(fleet: Fleet): DeclaredRollout[] {
  const ref = fleet.meta.ciCommit;
  if (ref === undefined) return [];
  const channels = new Set<string>();
  for (const host of fleet.hosts.values())
    if (host.closureHash !== undefined) channels.add(host.channel);
  return [...channels].sort().map((channel) => ({ channel, rolloutId: rolloutIdOf(channel, ref) }));
}

/** A host of an undeclared channel would have a rollout without a policy or a freshness window. */
function strayHost(fleet: Fleet): string | undefined {
  for (const [name, host] of fleet.hosts) {
    if (!fleet.channels.has(host.channel)) {
      return `hosts.${name}.channel: the channel "${host.channel}" is not declared in channels`;
    }
  }
  return undefined;
}
