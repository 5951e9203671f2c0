/** What a fleet declares, ref after ref, signed for real: drawn from the seed, small and full of corners. */
import type { Random } from '../../src/agent/clock.ts';
import { canonicalBytes, sha256Hex } from '../../src/trust/jcs.ts';
import type { JsonObject } from '../../src/trust/json.ts';
import { generateKey, signArtifact, trustFileFor } from '../../src/trust/sign.ts';
import { decodeTrust, type Trust } from '../../src/trust/trust-file.ts';
import type { TrustFile } from '../../src/workers/manifest-poll.ts';
import type { Source } from '../../src/workers/source.ts';
import { timeOf, type Millis } from '../../src/reducer/time.ts';

interface Channel {
  readonly name: string;
  /** Names of each wave's hosts; some waves are empty. */
  readonly waves: readonly (readonly string[])[];
  readonly soakMinutes: number;
  readonly onHealthFailure: 'halt' | 'rollback-and-halt';
  readonly onNewRef: 'supersede' | 'finish-first';
  readonly maxFailures: number;
  /** All its hosts run one closure, so that one failure concerns them all. */
  readonly isUniform: boolean;
}

/** The share of hosts that a commit does not touch, and of commits, by channel, that bring an earlier one back. */
const KEEPS = 0.2;
const REVERTS = 0.25;
/** The share of commits that leave out the last channel, and with it its hosts. */
const REMOVES = 0.1;

// One for the whole process: nothing that is traced depends on it.
const { key } = generateKey('ed25519');

export const TRUST: Trust = usable(decodeTrust(Buffer.from(trustFileFor(key))));

function usable(decoded: ReturnType<typeof decodeTrust>): Trust {
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

export class Release {
  readonly channels: readonly Channel[];
  readonly hosts: readonly string[];
  readonly source: Source = {
    where: 'the simulated CI',
    read: (name) => Promise.resolve(this.files.get(name)),
  };
  readonly trustFile: TrustFile = {
    path: 'trust.json',
    read: () => Promise.resolve(Buffer.from(this.trustText)),
  };
  number = 0;
  private readonly files = new Map<string, Uint8Array>();
  private readonly signed = new Map<string, Set<string>>();
  private readonly edges: readonly JsonObject[];
  private readonly channelEdges: readonly JsonObject[];
  private readonly budgets: readonly JsonObject[];
  private readonly keeps: Random;
  private readonly reverts: Random;
  private readonly removes: Random;
  private declared: readonly Channel[] = [];
  /** What each ref's manifests say, less when and beside which fleet they are signed; by ref, then by rollout. */
  private readonly manifests = new Map<string, ReadonlyMap<string, JsonObject>>();
  /** Whether CI signs the manifests of earlier refs again too, for what is let finish first. */
  private readonly signsEarlier: boolean;
  private trustText = trustFileFor(key);
  private closures: ReadonlyMap<string, string> = new Map();
  /** What each ref declared, and before them all what hosts ran. */
  private readonly earlier: ReadonlyMap<string, string>[] = [];

  /** Draws by what they are for, so that more of one leave the others as they were. */
  constructor(randomFor: (what: string) => Random) {
    const random = randomFor('fleet');
    this.keeps = randomFor('kept closures');
    this.reverts = randomFor('reverted commits');
    this.removes = randomFor('removed channels');
    this.signsEarlier = randomFor('ci')() < 0.5;
    const count = 1 + Math.floor(random() * 2.6);
    this.channels = ['edge', 'lab', 'main'].slice(0, count).map((name) => channelOf(name, random));
    this.hosts = this.channels.flatMap(({ waves }) => waves.flat());
    this.edges = random() < 0.2 ? edgeWithin(this.channels) : [];
    const [first, second] = this.channels;
    this.channelEdges =
      first !== undefined && second !== undefined && random() < 0.25
        ? [{ gated: second.name, gates: first.name }]
        : [];
    this.budgets = budgetsOf(this.channels, this.hosts, random);
    this.earlier.push(new Map(this.hosts.map((name) => [name, this.before(name)])));
  }

  /** What a host ran before there was any release. */
  before(hostname: string): string {
    return `before-${hostname}`;
  }

  target(hostname: string): string {
    return this.closures.get(hostname) ?? '';
  }

  /** Whether any signed manifest ever named this closure for this host. */
  hasSigned(hostname: string, closure: string): boolean {
    return this.signed.get(hostname)?.has(closure) ?? false;
  }

  get ref(): string {
    return (0xa1b20000 + this.number).toString(16);
  }

  /** Declares the next ref and signs it. The last one moves every host, or goes back to where it was before. */
  next(now: Millis, isLast = false): void {
    this.number += 1;
    const isWithoutLast = this.removes() < REMOVES && !isLast && this.channels.length > 1;
    this.declared = isWithoutLast ? this.channels.slice(0, -1) : this.channels;
    const closures = new Map<string, string>();
    for (const channel of this.channels) {
      const reverted = this.revertedTo();
      for (const hostname of channel.waves.flat()) {
        const kept = this.closures.get(hostname);
        const keeps = !isLast && kept !== undefined && this.keeps() < KEEPS;
        const fresh = `${this.ref}-${channel.isUniform ? channel.name : hostname}`;
        closures.set(hostname, reverted?.get(hostname) ?? (keeps ? kept : fresh));
      }
    }
    this.earlier.push(closures);
    this.closures = closures;
    this.sign(now);
  }

  /** The ref whose commit comes back for a channel, as after `git revert`; null: none. */
  private revertedTo(): ReadonlyMap<string, string> | null {
    if (this.reverts() >= REVERTS) return null;
    const others = this.earlier.filter((closures) => closures !== this.closures);
    return others[Math.floor(this.reverts() * others.length)] ?? null;
  }

  /** Dates everything anew, as CI does at intervals. */
  sign(now: Millis): void {
    const meta = (ciCommit: string) => ({ schemaVersion: 1, signedAt: timeOf(now), ciCommit });
    const fleet = this.fleet(meta(this.ref));
    this.put('fleet.resolved', fleet);
    const fleetResolvedHash = sha256Hex(canonicalBytes(fleet));
    if (!this.manifests.has(this.ref)) this.manifests.set(this.ref, this.resolve());
    for (const [ref, manifests] of this.manifests) {
      if (ref !== this.ref && !this.signsEarlier) continue;
      for (const [id, manifest] of manifests) {
        // Of a channel that the fleet has no more there is no policy either.
        if (!this.declared.some(({ name }) => name === manifest['channel'])) continue;
        this.put(`rollouts/${id}`, { ...manifest, fleetResolvedHash, meta: meta(ref) });
      }
    }
  }

  /** From now on, what was signed before this instant counts for nothing. */
  rejectBefore(instant: Millis): void {
    const trust: unknown = JSON.parse(trustFileFor(key));
    if (typeof trust !== 'object' || trust === null || !('ciReleaseKey' in trust)) return;
    Object.assign(trust.ciReleaseKey ?? {}, { rejectBefore: timeOf(instant) });
    this.trustText = JSON.stringify(trust);
  }

  private fleet(meta: JsonObject): JsonObject {
    const named = <T>(pick: (channel: Channel) => T) =>
      Object.fromEntries(this.declared.map((channel) => [channel.name, pick(channel)]));
    const hosts: JsonObject = {};
    for (const { name, waves } of this.declared) {
      for (const host of waves.flat()) {
        hosts[host] = { channel: name, closureHash: this.target(host), tags: [] };
      }
    }
    return {
      schemaVersion: 1,
      hosts,
      channels: named(({ name }) => ({ rolloutPolicy: `p-${name}`, freshnessWindow: 120 })),
      rolloutPolicies: Object.fromEntries(
        this.declared.map(({ name, onHealthFailure, onNewRef, maxFailures }) => [
          `p-${name}`,
          { waves: [], healthGate: { maxFailures }, onHealthFailure, onNewRef },
        ]),
      ),
      waves: named(({ waves, soakMinutes }) =>
        waves.map((names) => ({ hosts: [...names], soakMinutes })),
      ),
      ...{ edges: [...this.edges], channelEdges: this.declaredEdges() },
      disruptionBudgets: [],
      meta,
    };
  }

  private declaredEdges(): JsonObject[] {
    return this.declared.length < this.channels.length ? [] : [...this.channelEdges];
  }

  private resolve(): ReadonlyMap<string, JsonObject> {
    return new Map(
      this.declared.map((channel) => [`${channel.name}@${this.ref}`, this.manifest(channel)]),
    );
  }

  private manifest(channel: Channel): JsonObject {
    const hostSet = channel.waves.flatMap((names, waveIndex) =>
      names.map((hostname) => ({ hostname, waveIndex, targetClosure: this.target(hostname) })),
    );
    for (const { hostname, targetClosure } of hostSet) {
      const known = this.signed.get(hostname) ?? new Set();
      this.signed.set(hostname, known.add(targetClosure));
    }
    return {
      schemaVersion: 1,
      displayName: this.ref,
      ...{ channel: channel.name, channelRef: this.ref },
      hostSet: hostSet.sort((a, b) => (a.hostname < b.hostname ? -1 : 1)),
      healthGate: { maxFailures: channel.maxFailures },
      disruptionBudgets: [...this.budgets],
    };
  }

  private put(name: string, json: JsonObject): void {
    const bytes = Buffer.from(JSON.stringify(json));
    this.files.set(`${name}.json`, bytes);
    this.files.set(`${name}.json.sig`, signArtifact(bytes, key));
  }
}

function channelOf(name: string, random: Random): Channel {
  const waves = 1 + Math.floor(random() * 3);
  let number = 0;
  const hostsOf = (): string[] =>
    Array.from({ length: Math.floor(random() * 3.4) }, () => `${name}-${String((number += 1))}`);
  const drawn = Array.from({ length: waves }, hostsOf);
  if (number === 0) drawn[0] = [`${name}-1`];
  return {
    name,
    waves: drawn,
    soakMinutes: [0.2, 0.5, 1, 2][Math.floor(random() * 4)] ?? 1,
    onHealthFailure: random() < 0.6 ? 'rollback-and-halt' : 'halt',
    onNewRef: random() < 0.35 ? 'finish-first' : 'supersede',
    maxFailures: Math.floor(random() * 3),
    isUniform: random() < 0.4,
  };
}

/** The second host of the first wave waits for the first. */
function edgeWithin(channels: readonly Channel[]): readonly JsonObject[] {
  const [gates, gated] = channels[0]?.waves[0] ?? [];
  return gates === undefined || gated === undefined ? [] : [{ gated, gates }];
}

const NOBODY = { tags: [], tagsAny: [], hosts: [], all: false };

function budgetsOf(
  channels: readonly Channel[],
  hosts: readonly string[],
  random: Random,
): readonly JsonObject[] {
  const found: JsonObject[] = [];
  if (random() < 0.6) {
    const limit =
      random() < 0.7 ? { maxInFlight: 1 + Math.floor(random() * 3) } : { maxInFlightPct: 34 };
    found.push({ selector: { ...NOBODY, all: true }, hosts: [...hosts].sort(), ...limit });
  }
  const [first] = channels;
  if (first !== undefined && random() < 0.3) {
    const own = first.waves.flat().sort();
    found.push({ selector: { ...NOBODY, channel: first.name }, hosts: own, maxInFlight: 1 });
  }
  return found;
}
