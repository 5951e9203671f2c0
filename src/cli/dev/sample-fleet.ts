/**
 * The fleet that `muster dev` rolls out: two channels, `edge` and then `stable` (a channel edge); stable in
 * three waves; a web server that waits for its etcd (a host edge); budgets for etcd and for web. Whatever
 * its size, the proportions hold, so that a fleet of 2,000 goes through the same motions as one of 24.
 */
import { createHash } from 'node:crypto';
import { isObject, type Json, type JsonObject } from '../../trust/json.ts';

export interface SampleFleet {
  readonly fleet: JsonObject;
  /** By rollout id. Without the hash of the fleet, which signing adds. */
  readonly manifests: ReadonlyMap<string, JsonObject>;
}

interface Host {
  readonly name: string;
  readonly channel: 'edge' | 'stable';
  readonly wave: number;
  readonly tags: readonly string[];
}

type Selector = { readonly [tag in 'tags' | 'tagsAny']?: readonly string[] } & {
  readonly all?: boolean;
};

const CHANNELS = ['edge', 'stable'] as const;
const POLICY = { edge: 'fast', stable: 'careful' } as const;
/** A day: dev signs again long before. */
const FRESHNESS_MINUTES = 1440;

/** `ref`: 40 hex digits. */
export function sampleFleet(hosts: number, ref: string, soakSeconds: number): SampleFleet {
  const all = hostsOf(hosts);
  const soakMinutes = soakSeconds / 60;
  const waves = Object.fromEntries(
    CHANNELS.map((channel) => [channel, wavesOf(all, channel, soakMinutes)]),
  );
  const budgets = budgetsOf(all);
  const fleet: JsonObject = {
    schemaVersion: 1,
    hosts: Object.fromEntries(all.map((host) => [host.name, hostEntry(host, ref)])),
    channels: Object.fromEntries(CHANNELS.map((name) => [name, channelEntry(POLICY[name])])),
    rolloutPolicies: {
      fast: policy('halt', soakMinutes, [{ tags: ['canary'] }, { all: true }]),
      careful: policy('rollback-and-halt', soakMinutes, [
        { tags: ['canary'] },
        { tagsAny: ['web', 'etcd'] },
        { all: true },
      ]),
    },
    waves,
    edges: edgesOf(all),
    channelEdges: [{ gated: 'stable', gates: 'edge', reason: 'edge canaries first' }],
    disruptionBudgets: budgets.map(({ hosts: _, ...budget }) => budget),
    meta: { schemaVersion: 1, ciCommit: ref },
  };
  const manifests = new Map(
    CHANNELS.map((name) => [`${name}@${ref}`, manifest(all, name, ref, budgets)]),
  );
  return { fleet, manifests };
}

export function hostsOfSample({ fleet: { hosts } }: SampleFleet): string[] {
  return isObject(hosts) ? Object.keys(hosts) : [];
}

/** What a host runs under a release: opaque, and different for each. */
export function closureOf(host: string, ref: string): string {
  const hash = createHash('sha256').update(`${ref}/${host}`).digest('hex').slice(0, 32);
  return `${hash}-nixos-system-${host}`;
}

function hostsOf(count: number): Host[] {
  const share = (part: number): number => Math.max(1, Math.round(count * part));
  const [edgeCanary, edge] = [share(1 / 12), share(1 / 6)];
  const [canary, etcd, db] = [share(1 / 12), share(1 / 8), share(1 / 12)];
  const web = Math.max(1, count - edgeCanary - edge - canary - etcd - db);
  return [
    ...group('edge-canary', edgeCanary, 'edge', 0, ['canary']),
    ...group('edge', edge, 'edge', 1, ['non-critical']),
    ...group('web-canary', canary, 'stable', 0, ['web', 'canary']),
    ...group('etcd', etcd, 'stable', 1, ['etcd', 'always-on']),
    ...group('web', web, 'stable', 1, ['web']),
    ...group('db', db, 'stable', 2, ['db', 'always-on']),
  ];
}

function group(
  name: string,
  count: number,
  channel: Host['channel'],
  wave: number,
  tags: readonly string[],
): Host[] {
  const width = Math.max(2, String(count).length);
  return Array.from({ length: count }, (_, i) => ({
    ...{ name: `${name}-${String(i + 1).padStart(width, '0')}`, channel, wave, tags },
  }));
}

function hostEntry(host: Host, ref: string): Json {
  return {
    system: 'x86_64-linux',
    tags: [...host.tags],
    channel: host.channel,
    closureHash: closureOf(host.name, ref),
    pubkey: null,
  };
}

function channelEntry(rolloutPolicy: string): Json {
  return {
    rolloutPolicy,
    reconcileIntervalMinutes: 30,
    freshnessWindow: FRESHNESS_MINUTES,
    signingIntervalMinutes: 60,
    compliance: { frameworks: [], mode: 'enforce' },
  };
}

function policy(
  onHealthFailure: string,
  soakMinutes: number,
  selectors: readonly Selector[],
): Json {
  return {
    strategy: 'canary',
    waves: selectors.map((given) => ({ selector: selector(given), soakMinutes })),
    healthGate: {},
    onHealthFailure,
    onNewRef: 'supersede',
  };
}

function selector(given: Selector): JsonObject {
  const { tags = [], tagsAny = [], all = false } = given;
  return { tags: [...tags], tagsAny: [...tagsAny], hosts: [], channel: null, all };
}

function wavesOf(all: readonly Host[], channel: string, soakMinutes: number): Json {
  const members = all.filter((host) => host.channel === channel);
  const count = Math.max(...members.map((host) => host.wave)) + 1;
  return Array.from({ length: count }, (_, wave) => ({
    hosts: members.filter((host) => host.wave === wave).map((host) => host.name),
    soakMinutes,
  }));
}

/** The first ordinary web server reads the first etcd at boot. */
function edgesOf(all: readonly Host[]): Json {
  const first = (tag: string): string =>
    all.find((host) => host.wave === 1 && host.tags.includes(tag))?.name ?? '';
  return [{ gated: first('web'), gates: first('etcd'), reason: 'reads its quorum at boot' }];
}

/** A third of etcd (it keeps its quorum) and half of web at once. */
function budgetsOf(all: readonly Host[]): (JsonObject & { hosts: string[] })[] {
  const tagged = (tag: string): string[] =>
    all.flatMap((host) => (host.tags.includes(tag) ? [host.name] : [])).sort();
  const etcd = tagged('etcd');
  return [
    {
      selector: selector({ tags: ['etcd'] }),
      hosts: etcd,
      maxInFlight: Math.max(1, Math.floor(etcd.length / 3)),
      maxInFlightPct: null,
    },
    {
      selector: selector({ tags: ['web'] }),
      hosts: tagged('web'),
      maxInFlight: null,
      maxInFlightPct: 50,
    },
  ];
}

function manifest(
  all: readonly Host[],
  channel: string,
  ref: string,
  budgets: readonly (JsonObject & { hosts: string[] })[],
): JsonObject {
  const members = all.filter((host) => host.channel === channel);
  const names = new Set(members.map((host) => host.name));
  return {
    schemaVersion: 1,
    displayName: `${channel}@${ref.slice(0, 8)}`,
    channel,
    channelRef: ref,
    fleetResolvedHash: '',
    hostSet: members
      .map((host) => ({
        hostname: host.name,
        waveIndex: host.wave,
        targetClosure: closureOf(host.name, ref),
      }))
      .sort((a, b) => (a.hostname < b.hostname ? -1 : 1)),
    healthGate: {},
    disruptionBudgets: budgets.map((budget) => ({
      ...budget,
      hosts: budget.hosts.filter((name) => names.has(name)),
    })),
    meta: { schemaVersion: 1, ciCommit: ref },
  };
}
