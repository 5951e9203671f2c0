/** What a fleet declares, ref after ref, signed for real: drawn from the seed, small and full of corners. */
import type { Random } from '../../src/agent/clock.ts';
import { canonicalBytes, sha256Hex } from '../../src/trust/jcs.ts';
import type { JsonObject } from '../../src/trust/json.ts';
import { generateKey, signArtifact, trustFileFor } from '../../src/trust/sign.ts';
import { decodeTrust, type Trust } from '../../src/trust/trust-file.ts';
import type { TrustFile } from '../../src/workers/manifest-poll.ts';
import type { Source } from '../../src/workers/source.ts';
import { timeOf, type Millis } from '../../src/reducer/time.ts';
import {
  budgetsOf,
  channelEdgesOf,
  channelOf,
  edgesAmong,
  rearranged,
  type Channel,
  type Edge,
} from './fleet-shape.ts';

/** The share of hosts that a commit does not touch, and of commits, by channel, that bring an earlier one back. */
const KEEPS = 0.2;
/** Of hosts that it moves to another channel: many run there what they ran. */
const MOVED_KEEPS = 0.5;
const REVERTS = 0.25;
/** The share of commits that leave out the last channel, and with it its hosts. */
const REMOVES = 0.1;
/** The share of runs in which commits move hosts between channels and change policies and budgets. */
const REARRANGES = 0.6;
/** The share of commits, in them, that draw the budgets anew. */
const REBUDGETS = 0.2;

// One for the whole process: nothing that is traced depends on it.
const { key } = generateKey('ed25519');

export const TRUST: Trust = usable(decodeTrust(Buffer.from(trustFileFor(key))));

function usable(decoded: ReturnType<typeof decodeTrust>): Trust {
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

export class Release {
  channels: readonly Channel[];
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
  private readonly edges: readonly Edge[];
  private readonly channelEdges: readonly JsonObject[];
  private budgets: readonly JsonObject[];
  private readonly keeps: Random;
  private readonly reverts: Random;
  private readonly removes: Random;
  /** Null: hosts stay where they are. */
  private readonly moves: Random | null;
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
    const moves = randomFor('moved hosts');
    this.moves = moves() < REARRANGES ? moves : null;
    this.signsEarlier = randomFor('ci')() < 0.5;
    const count = 1 + Math.floor(random() * 2.6);
    this.channels = ['edge', 'lab', 'main'].slice(0, count).map((name) => channelOf(name, random));
    this.hosts = this.channels.flatMap(({ waves }) => waves.flat());
    this.edges = random() < 0.4 ? edgesAmong(this.hosts, random) : [];
    this.channelEdges = channelEdgesOf(this.channels, random);
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
    const moved = this.number > 1 ? this.rearrange() : [];
    const isWithoutLast = this.removes() < REMOVES && !isLast && this.channels.length > 1;
    this.declared = isWithoutLast ? this.channels.slice(0, -1) : this.channels;
    const closures = new Map<string, string>();
    for (const channel of this.channels) {
      const reverted = this.revertedTo();
      for (const hostname of channel.waves.flat()) {
        const kept = this.closures.get(hostname);
        const share = moved.includes(hostname) ? MOVED_KEEPS : KEEPS;
        const keeps = !isLast && kept !== undefined && this.keeps() < share;
        const fresh = `${this.ref}-${channel.isUniform ? channel.name : hostname}`;
        closures.set(hostname, reverted?.get(hostname) ?? (keeps ? kept : fresh));
      }
    }
    this.earlier.push(closures);
    this.closures = closures;
    this.sign(now);
  }

  /** Where it is declared now. */
  channelOf(hostname: string): string {
    return this.channels.find(({ waves }) => waves.flat().includes(hostname))?.name ?? '';
  }

  /** Whom it moved to another channel. */
  private rearrange(): readonly string[] {
    const { moves } = this;
    if (moves === null) return [];
    const before = this.hosts.map((hostname) => this.channelOf(hostname));
    this.channels = rearranged(this.channels, this.hosts, moves);
    if (moves() < REBUDGETS) this.budgets = budgetsOf(this.channels, this.hosts, moves);
    return this.hosts.filter((hostname, i) => this.channelOf(hostname) !== before[i]);
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
      ...this.declaredEdges(),
      disruptionBudgets: [],
      meta,
    };
  }

  /** None that would wait in a circle with the waves, after a host moved. */
  private declaredEdges(): JsonObject {
    const placed = this.channels
      .flatMap(({ waves }) => waves)
      .flatMap((names, i) => names.map((name) => [name, i] as const));
    const place = new Map(placed);
    const isDue = ({ gates, gated }: Edge): boolean =>
      (place.get(gates) ?? 0) <= (place.get(gated) ?? 0);
    const isWhole = this.declared.length === this.channels.length;
    return {
      edges: this.edges.filter(isDue).map((edge) => ({ ...edge })),
      channelEdges: isWhole ? [...this.channelEdges] : [],
    };
  }

  private resolve(): ReadonlyMap<string, JsonObject> {
    return new Map(
      this.declared
        .filter(({ waves }) => waves.flat().length > 0)
        .map((channel) => [`${channel.name}@${this.ref}`, this.manifest(channel)]),
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
