/**
 * Small random fleets: few hosts, so that a budget is full, a wave is empty and an edge matters often. What
 * a ref declares follows from the spec and the ref's number alone, so a trace shrinks well.
 */
import fc from 'fast-check';
import type { FleetContent, ManifestContent, PolicyContent } from '../../../src/reducer/content.ts';
import { timeOf, type Millis } from '../../../src/reducer/time.ts';

export const EPOCH: Millis = Date.parse('2026-05-16T00:00:00.000Z');

export interface FleetSpec {
  readonly channels: readonly ChannelSpec[];
  readonly edges: readonly (readonly [number, number])[];
  readonly channelEdge: boolean;
  /** Channel b is not in every third ref, and its hosts are nowhere. */
  readonly leaving: boolean;
}

interface ChannelSpec {
  readonly name: string;
  /** Wave of each host; the last host of a channel may be in none. */
  readonly waves: readonly number[];
  readonly unstagedLast: boolean;
  readonly declaresWaves: boolean;
  readonly soaks: readonly number[];
  readonly rollback: boolean;
  readonly finishFirst: boolean;
  readonly maxFailures: number | null;
  readonly maxInFlight: number | null;
  readonly maxInFlightPct: number | null;
  readonly sharedLimit: number | null;
  /** Minutes. */
  readonly window: number;
}

const limit = fc.option(fc.integer({ min: 1, max: 3 }), { nil: null });

function channelSpec(name: string): fc.Arbitrary<ChannelSpec> {
  return fc.record({
    name: fc.constant(name),
    waves: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 5 }),
    unstagedLast: fc.boolean().map((b) => b && name === 'b'),
    declaresWaves: fc.boolean(),
    soaks: fc.array(fc.constantFrom(0, 5, 30), { minLength: 3, maxLength: 3 }),
    rollback: fc.boolean(),
    finishFirst: fc.boolean(),
    maxFailures: fc.constantFrom(null, 0, 1),
    maxInFlight: limit,
    maxInFlightPct: fc.constantFrom(null, 10, 50),
    sharedLimit: limit,
    window: fc.constantFrom(30, 1440),
  });
}

export const fleetSpec: fc.Arbitrary<FleetSpec> = fc.record({
  channels: fc
    .tuple(channelSpec('a'), channelSpec('b'), fc.boolean())
    .map(([a, b, both]) => (both ? [a, b] : [a])),
  edges: fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })), {
    maxLength: 2,
  }),
  channelEdge: fc.boolean(),
  leaving: fc.boolean(),
});

export function hostsOf(spec: FleetSpec): string[] {
  return spec.channels.flatMap(hostsIn);
}

function hostsIn(channel: ChannelSpec): string[] {
  return channel.waves.map((_, i) => `${channel.name}${String(i)}`);
}

export function refOf(number: number): string {
  return `c0ffee${String(number).padStart(2, '0')}`;
}

/** Every third ref changes half of the hosts only, so that unchanged hosts occur. */
function closureOf(host: string, index: number, number: number): string {
  const version = number % 3 === 2 && index % 2 === 0 ? number - 1 : number;
  return `closure-${host}-${String(version)}`;
}

/** What ref `number` declares, signed at `now`. */
export function contentOf(
  spec: FleetSpec,
  number: number,
  now: Millis,
): { fleet: FleetContent; manifests: ManifestContent[] } {
  const hosts = new Map<string, { channel: string; closureHash: string | null }>();
  const channels = spec.channels.filter(
    ({ name }) => !(spec.leaving && name === 'b' && number % 3 === 1),
  );
  for (const channel of channels) {
    hostsIn(channel).forEach((host, i) => {
      hosts.set(host, { channel: channel.name, closureHash: closureOf(host, i, number) });
    });
  }
  const signedAt = timeOf(now);
  const names = channels.map((channel) => channel.name);
  const edges = spec.edges
    .filter(([gated, gates]) => gates < gated)
    .map(([gated, gates]) => ({ gated: `a${String(gated)}`, gates: `a${String(gates)}` }));
  const fleet: FleetContent = {
    hash: `fleet-${String(number)}-${signedAt}`,
    signedAt,
    ref: refOf(number),
    hosts,
    channels: new Map(
      channels.map((c) => [c.name, { rolloutPolicy: c.name, freshnessWindow: c.window }]),
    ),
    policies: new Map(channels.map((c) => [c.name, policyOf(c)])),
    waves: new Map(channels.map((c) => [c.name, wavesOf(c)])),
    edges,
    channelEdges: spec.channelEdge && names.length > 1 ? [{ gated: 'a', gates: 'b' }] : [],
  };
  return { fleet, manifests: channels.map((c) => manifestOf(spec, c, number, now)) };
}

function policyOf(channel: ChannelSpec): PolicyContent {
  return {
    waves: channel.soaks.map((soakMinutes) => ({ soakMinutes })),
    onHealthFailure: channel.rollback ? 'rollback-and-halt' : 'halt',
    onNewRef: channel.finishFirst ? 'finish-first' : 'supersede',
    maxFailures: null,
  };
}

function wavesOf(channel: ChannelSpec): { hosts: string[]; soakMinutes: number }[] {
  if (!channel.declaresWaves) return [];
  const hosts = hostsIn(channel);
  const staged = channel.unstagedLast ? hosts.slice(0, -1) : hosts;
  return channel.soaks.map((soakMinutes, wave) => ({
    soakMinutes,
    hosts: staged.filter((_, i) => channel.waves[i] === wave),
  }));
}

const EVERYONE = { tags: [], tagsAny: [], hosts: [], channel: null, all: true };

function manifestOf(
  spec: FleetSpec,
  channel: ChannelSpec,
  number: number,
  now: Millis,
): ManifestContent {
  const { name, maxInFlight, maxInFlightPct, sharedLimit } = channel;
  const hosts = hostsIn(channel);
  const own = {
    selector: { ...EVERYONE, all: false, channel: name },
    hosts,
    maxInFlight,
    maxInFlightPct,
  };
  const shared = {
    selector: EVERYONE,
    hosts: hostsOf(spec),
    maxInFlight: sharedLimit,
    maxInFlightPct: null,
  };
  return {
    rolloutId: `${name}@${refOf(number)}`,
    hash: `manifest-${name}-${String(number)}`,
    displayName: `${name} ${String(number)}`,
    channel: name,
    channelRef: refOf(number),
    signedAt: timeOf(now),
    hostSet: hosts.map((hostname, i) => ({
      hostname,
      waveIndex: channel.waves[i] ?? 0,
      targetClosure: closureOf(hostname, i, number),
    })),
    maxFailures: channel.maxFailures,
    budgets: [own, shared],
  };
}
