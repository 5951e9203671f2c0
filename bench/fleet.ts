/** Fleets for the core's benchmark: equal channels, three waves each, two budgets. */
import type { FleetContent, ManifestContent } from '../src/reducer/content.ts';
import { timeOf, type Millis } from '../src/reducer/time.ts';

export interface Shape {
  readonly channels: number;
  readonly hostsPerChannel: number;
}

/** The first waves are small, as they are in practice: 1 %, 9 %, and the rest. */
function waveOf(index: number, hosts: number): number {
  const share = index / hosts;
  return share < 0.01 ? 0 : share < 0.1 ? 1 : 2;
}

export function channelName(index: number): string {
  return `channel-${String(index).padStart(3, '0')}`;
}

function hostName(channel: number, index: number): string {
  return `host-${String(channel).padStart(3, '0')}-${String(index).padStart(6, '0')}`;
}

export function hostsOf(shape: Shape): string[] {
  return Array.from({ length: shape.channels }, (_, c) =>
    Array.from({ length: shape.hostsPerChannel }, (_, i) => hostName(c, i)),
  ).flat();
}

/** What commit `number` declares: a new closure for every host. */
export function contentOf(
  shape: Shape,
  number: number,
  now: Millis,
): { fleet: FleetContent; manifests: ManifestContent[] } {
  const ref = `c0ffee${String(number)}`;
  const closure = `/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-${String(number)}`;
  const channels = Array.from({ length: shape.channels }, (_, c) => channelName(c));
  const soaks = [0, 0, 0].map((soakMinutes) => ({ soakMinutes }));
  const signedAt = timeOf(now);
  const hosts = hostsOf(shape);
  const fleet: FleetContent = {
    hash: `fleet-${String(number)}`,
    signedAt,
    ref,
    hosts: new Map(hosts.map((name) => [name, { channel: channelOf(name), closureHash: closure }])),
    channels: new Map(
      channels.map((name) => [name, { rolloutPolicy: 'waves', freshnessWindow: 1440 }]),
    ),
    policies: new Map([
      ['waves', { waves: soaks, onHealthFailure: 'halt', onNewRef: 'supersede', maxFailures: 0 }],
    ]),
    waves: new Map(),
    edges: [],
    channelEdges: [],
  };
  const manifests = channels.map((_, c) => manifestOf(shape, c, ref, closure, signedAt, hosts));
  return { fleet, manifests };
}

function channelOf(host: string): string {
  return channelName(Number(host.slice(5, 8)));
}

const EVERYONE = { tags: [], tagsAny: [], hosts: [], channel: null, all: true };

/** A budget over everybody and one over the channel: every host waits for both. */
function manifestOf(
  { hostsPerChannel }: Shape,
  channel: number,
  ref: string,
  targetClosure: string,
  signedAt: string,
  everyone: readonly string[],
): ManifestContent {
  const name = channelName(channel);
  const hosts = Array.from({ length: hostsPerChannel }, (_, i) => hostName(channel, i));
  return {
    rolloutId: `${name}@${ref}`,
    hash: `manifest-${ref}`,
    displayName: name,
    channel: name,
    channelRef: ref,
    signedAt,
    hostSet: hosts.map((hostname, i) => ({
      hostname,
      waveIndex: waveOf(i, hostsPerChannel),
      targetClosure,
    })),
    maxFailures: 0,
    budgets: [
      { selector: EVERYONE, hosts: everyone, maxInFlight: null, maxInFlightPct: 5 },
      {
        selector: { ...EVERYONE, all: false, channel: name },
        hosts,
        maxInFlight: null,
        maxInFlightPct: 10,
      },
    ],
  };
}
