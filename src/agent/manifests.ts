/**
 * The second verification. A control plane says *when*; what a host may run is said by signed artifacts
 * alone, and the agent checks them itself: a control plane that was taken over cannot make it run anything
 * that was not signed for this very host.
 *
 * Verified artifacts are kept by ETag and shared: asking again costs one conditional request. A refusal may
 * come from reading between two signings (bytes of one, signature of the next), so it is tried afresh once.
 */
import type { HealthPolicy } from '../reducer/host/events.ts';
import type { Fleet } from '../trust/fleet.ts';
import type { RolloutManifest } from '../trust/manifest.ts';
import type { Trust } from '../trust/trust-file.ts';
import {
  verifyFleet,
  verifyManifest,
  type SignedBytes,
  type Verified,
  type VerifyResult,
} from '../trust/verify.ts';
import type { Clock } from './clock.ts';
import type { ArtifactName, ArtifactSource } from './control-plane.ts';

/** What the signed artifacts say of one host in one rollout. */
export interface Warranted {
  readonly channel: string;
  readonly wave: number;
  readonly targetClosure: string;
  readonly policy: HealthPolicy;
}

export type Warrant =
  | { readonly ok: true; readonly warrant: Warranted }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

export interface ManifestSettings {
  /** Existing agents refuse a manifest that was signed longer ago than 60 minutes. */
  readonly freshnessMinutes: number;
  /** How long an artifact counts as just asked for. 0: ask each time; more where thousands share one process. */
  readonly reuseMs: number;
}

interface Kept<T> {
  readonly artifact: Verified<T>;
  readonly etag: string | null;
  readonly askedAt: number;
}

interface Release {
  readonly fleet: Verified<Fleet>;
  readonly hosts: ReadonlyMap<string, RolloutManifest['hostSet'][number]>;
  readonly manifest: Verified<RolloutManifest>;
}

/** `afresh`: take nothing from what is kept but when it was signed. */
interface Look {
  readonly rolloutId: string;
  readonly afresh: boolean;
  readonly signal: AbortSignal;
}

type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/** Rollouts of a host that matter at once: one per channel it is in (one), its predecessor and its successor. */
const KEPT_MANIFESTS = 8;
const MINUTE_MS = 60_000;
/** As in trust: clocks differ. */
const SLACK_MS = 60_000;

export class Manifests {
  private readonly source: ArtifactSource;
  private readonly trust: Trust;
  private readonly clock: Clock;
  private readonly settings: ManifestSettings;
  private fleet: Kept<Fleet> | null = null;
  private readonly manifests = new Map<string, Kept<RolloutManifest>>();
  private readonly indexes = new WeakMap<object, Release['hosts']>();
  private readonly asking = new Map<string, Promise<Result<Release>>>();

  constructor(source: ArtifactSource, trust: Trust, clock: Clock, settings: ManifestSettings) {
    this.source = source;
    this.trust = trust;
    this.clock = clock;
    this.settings = settings;
  }

  /** What this host is to run in this rollout, or why it must not. */
  async warrant(rolloutId: string, hostname: string, signal: AbortSignal): Promise<Warrant> {
    const release = await this.shared(rolloutId, signal);
    if (!release.ok) return release;
    const { fleet, hosts, manifest } = release.value;
    const host = hosts.get(hostname);
    if (host === undefined)
      return no('not-in-manifest', `${hostname} is not in the host set of ${rolloutId}`);
    const { channel } = manifest.value;
    const policy = fleet.value.rolloutPolicies.get(
      fleet.value.channels.get(channel)?.rolloutPolicy ?? '',
    );
    return {
      ok: true,
      warrant: {
        channel,
        wave: host.waveIndex,
        targetClosure: host.targetClosure,
        policy: policy?.onHealthFailure ?? 'halt',
      },
    };
  }

  /** Callers that ask for the same rollout at the same time wait for one answer. */
  private shared(rolloutId: string, signal: AbortSignal): Promise<Result<Release>> {
    const under = this.asking.get(rolloutId);
    if (under !== undefined) return under;
    const asked = this.release(rolloutId, signal).finally(() => this.asking.delete(rolloutId));
    this.asking.set(rolloutId, asked);
    return asked;
  }

  private async release(rolloutId: string, signal: AbortSignal): Promise<Result<Release>> {
    const first = await this.read({ rolloutId, afresh: false, signal });
    return first.ok || signal.aborted ? first : this.read({ rolloutId, afresh: true, signal });
  }

  private async read(look: Look): Promise<Result<Release>> {
    const fleet = await this.readFleet(look);
    if (!fleet.ok) return fleet;
    const manifest = await this.readManifest(look, fleet.value.hash);
    if (!manifest.ok) return manifest;
    return {
      ok: true,
      value: {
        fleet: fleet.value,
        manifest: manifest.value,
        hosts: this.hostsOf(manifest.value.value),
      },
    };
  }

  private async readFleet(look: Look): Promise<Result<Verified<Fleet>>> {
    const kept = await this.current('fleet.resolved', this.fleet, look, (signed) =>
      verifyFleet(signed, { ...this.context(), newestAccepted: this.fleet?.artifact.signedAt }),
    );
    if (!kept.ok) return kept;
    this.fleet = kept.value;
    return { ok: true, value: kept.value.artifact };
  }

  private async readManifest(
    look: Look,
    fleetHash: string,
  ): Promise<Result<Verified<RolloutManifest>>> {
    const { rolloutId } = look;
    const before = this.manifests.get(rolloutId) ?? null;
    const { freshnessMinutes } = this.settings;
    const kept = await this.current(`rollouts/${rolloutId}`, before, look, (signed) =>
      verifyManifest(signed, {
        ...this.context(),
        ...{ freshnessMinutes, rolloutId, fleetHash },
        newestAccepted: before?.artifact.signedAt,
        openedContentHash: before?.artifact.value.contentHash,
      }),
    );
    if (!kept.ok) return kept;
    const { artifact } = kept.value;
    if (this.clock.now() - artifact.signedAt > freshnessMinutes * MINUTE_MS + SLACK_MS) {
      return no(
        'stale',
        `the manifest of ${rolloutId} was signed over ${freshnessMinutes} minutes ago`,
      );
    }
    if (artifact.value.fleetResolvedHash !== fleetHash) {
      return no(
        'wrong-fleet-hash',
        `the manifest of ${rolloutId} belongs to another fleet.resolved`,
      );
    }
    this.keep(rolloutId, kept.value);
    return { ok: true, value: artifact };
  }

  private async current<T>(
    name: ArtifactName,
    before: Kept<T> | null,
    { afresh, signal }: Look,
    verify: (signed: SignedBytes) => VerifyResult<T>,
  ): Promise<Result<Kept<T>>> {
    const askedAt = this.clock.now();
    if (!afresh && before !== null && askedAt - before.askedAt < this.settings.reuseMs)
      return { ok: true, value: before };
    const answer = await this.source.artifact(name, afresh ? null : (before?.etag ?? null), signal);
    if (answer.kind === 'trouble') return no('unavailable', `${name}: ${answer.reason}`);
    if (answer.kind === 'unchanged') {
      return before === null
        ? no('unavailable', `${name}: unchanged from nothing`)
        : { ok: true, value: { ...before, askedAt } };
    }
    const sig = await this.source.signature(name, signal);
    if (sig.kind !== 'artifact')
      return no('unavailable', `${name}.sig: ${sig.kind === 'trouble' ? sig.reason : sig.kind}`);
    const result = verify({ bytes: answer.bytes, sig: sig.bytes });
    if (!result.ok) return no(result.reason, result.detail);
    return { ok: true, value: { artifact: result.artifact, etag: answer.etag, askedAt } };
  }

  private keep(rolloutId: string, kept: Kept<RolloutManifest>): void {
    this.manifests.delete(rolloutId);
    this.manifests.set(rolloutId, kept);
    for (const id of [...this.manifests.keys()].slice(0, -KEPT_MANIFESTS))
      this.manifests.delete(id);
  }

  private hostsOf(manifest: RolloutManifest): Release['hosts'] {
    const known = this.indexes.get(manifest);
    if (known !== undefined) return known;
    const made = new Map(manifest.hostSet.map((host) => [host.hostname, host]));
    this.indexes.set(manifest, made);
    return made;
  }

  private context(): { readonly trust: Trust; readonly now: number } {
    return { trust: this.trust, now: this.clock.now() };
  }
}

function no(
  reason: string,
  detail: string,
): { readonly ok: false; readonly reason: string; readonly detail: string } {
  return { ok: false, reason, detail };
}
