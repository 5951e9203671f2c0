/**
 * Fetches the trust file and the signed artifacts, verifies them, stores the exact bytes, and tells the
 * leader what changed. On refusal the last verified set stays in force. Outcomes are logged when they
 * change, not with every poll.
 *
 * A set that was accepted, and whose bytes and trust are unchanged, is not verified again: verifying a
 * fleet of 100,000 hosts takes a second. Its growing age is the gate `manifest-stale`'s business.
 */
import { createHash } from 'node:crypto';
import type { AcceptedArtifact, StoredArtifact, ToldOutcome } from '../db/artifacts.ts';
import { declaredRollouts, type Fleet } from '../trust/fleet.ts';
import {
  verifyManifests,
  verifySetFleet,
  type AcceptedBefore,
  type SetRefusal,
  type VerifiedSet,
} from '../trust/set.ts';
import { decodeTrust, type Trust } from '../trust/trust-file.ts';
import {
  verifyNonces,
  verifyRevocations,
  type SignedBytes,
  type Verified,
} from '../trust/verify.ts';
import { runningBeside, verifyRunning, type Running } from './running-manifests.ts';
import { storedFleet, storedManifest, timeOf } from './content.ts';
import { Outcomes, type Hashes } from './outcomes.ts';
import type { Source } from './source.ts';
import type { Task, WorkerContext } from './worker.ts';

/** Where verified artifacts are kept. */
export interface ArtifactShelf {
  /** What is current, without the bytes. */
  accepted(): Promise<readonly AcceptedArtifact[]>;
  /** Outcomes that were told already, newest first. */
  toldOutcomes(): Promise<readonly ToldOutcome[]>;
  /** False: nothing was stored, for what is current is newer. */
  store(artifacts: readonly StoredArtifact[], verifiedAt: string): Promise<boolean>;
  /** What the leader goes by now; null when nothing is rejected. */
  rejectBefore(): Promise<string | null>;
}

export interface TrustFile {
  readonly path: string;
  read(): Promise<Uint8Array>;
}

export interface ManifestPollOptions {
  readonly shelf: ArtifactShelf;
  readonly source: Source;
  readonly trustFile: TrustFile;
  readonly everyMs: number;
}

export function manifestPoll(context: WorkerContext, options: ManifestPollOptions): Task {
  const poll = new ManifestPoll(context, options);
  return { name: 'manifests', everyMs: options.everyMs, run: (signal) => poll.run(signal) };
}

type ListName = 'revocations' | 'bootstrap-nonces';

class ManifestPoll {
  private readonly context: WorkerContext;
  private readonly options: ManifestPollOptions;
  private readonly outcomes: Outcomes;
  /** What was accepted last: nothing to verify while it reads the same. */
  private acceptedSet: { readonly print: string; readonly hashes: Hashes } | null = null;
  private lastFleet: { readonly print: string; readonly artifact: Verified<Fleet> } | null = null;

  constructor(context: WorkerContext, options: ManifestPollOptions) {
    this.context = context;
    this.options = options;
    this.outcomes = new Outcomes(() => options.shelf.toldOutcomes(), context.submit);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { bytes: trustBytes, trust } = await this.readTrust();
    await this.tellTrust(trust);
    await this.pollSet(trust, trustBytes, signal);
    await this.pollList('revocations', trust, signal);
    await this.pollList('bootstrap-nonces', trust, signal);
    this.context.metrics.set(
      'muster_manifest_poll_time_seconds',
      {},
      this.context.clock.now() / 1_000,
    );
  }

  private async readTrust(): Promise<{ bytes: Uint8Array; trust: Trust }> {
    const { trustFile } = this.options;
    const bytes = await trustFile.read().catch((error: unknown): never => {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `cannot read the trust file ${trustFile.path} (${why}): check MUSTER_TRUST_FILE`,
      );
    });
    const decoded = decodeTrust(bytes);
    if (decoded.ok) return { bytes, trust: decoded.value };
    throw new Error(`the trust file ${trustFile.path} is not usable: ${decoded.detail}`);
  }

  /**
   * Compared with what is in force, not with what was told: whoever worked here before, and was stopped on the
   * way, may tell what an older file said after this one did. A repeat changes nothing and leaves no row.
   */
  private async tellTrust(trust: Trust): Promise<void> {
    const rejectBefore = trust.rejectBefore === undefined ? null : timeOf(trust.rejectBefore);
    const inForce = await this.options.shelf.rejectBefore();
    if (rejectBefore === (inForce === null ? null : timeOf(Date.parse(inForce)))) return;
    await this.context.submit({ kind: 'TrustChanged', rejectBefore });
  }

  private async pollSet(trust: Trust, trustBytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const fleet = await this.readSigned('fleet.resolved', signal);
    if (fleet === undefined) {
      await this.sayMissing('fleet.resolved', signal);
      return;
    }
    const accepted = await this.options.shelf.accepted();
    const verify = { trust, now: this.context.clock.now(), previous: acceptedBefore(accepted) };
    const fleetResult = this.isAcceptedFleet(fleet, trustBytes) ?? verifySetFleet(fleet, verify);
    if (!fleetResult.ok) {
      await this.mustBeUnchanged('fleet.resolved', fleet, signal);
      const { reason, detail } = fleetResult;
      await this.sayRefused({ artifact: 'fleet.resolved', reason, detail }, fleet);
      return;
    }
    const running = runningBeside(fleetResult.artifact.value, accepted);
    const manifests = await this.readManifests(fleetResult.artifact.value, running, signal);
    const print = fingerprint([trustBytes, fleet, ...manifests.values()]);
    if (print === this.acceptedSet?.print) {
      // The source may be back from something that was refused: that is news as well.
      await this.outcomes.tellInForce(this.acceptedSet.hashes);
      return;
    }
    const result = verifyManifests(fleetResult.artifact, (id) => manifests.get(id), verify);
    if (!result.ok) return this.believe(result.refusals, fleet, manifests, signal);
    const resigned = verifyRunning(fleetResult.artifact, running, manifests, verify);
    if (resigned.refusals.length > 0)
      await this.believe(resigned.refusals, fleet, manifests, signal);
    const hashes = await this.accept(result.set, resigned.manifests);
    this.lastFleet = { print: fingerprint([trustBytes, fleet]), artifact: fleetResult.artifact };
    this.acceptedSet = { print, hashes };
  }

  /** Says what is refused, unless it may have been read across a publication. */
  private async believe(
    refusals: readonly SetRefusal[],
    fleet: SignedBytes,
    manifests: ReadonlyMap<string, SignedBytes>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.mustBeUnchanged('fleet.resolved', fleet, signal);
    for (const { artifact } of refusals) {
      await this.mustBeUnchanged(artifact, manifests.get(idOf(artifact)), signal);
    }
    await this.sayRefusals(refusals, manifests);
  }

  /**
   * Before a refusal is believed. Files of two releases read across a publication fit badly, an artifact and
   * the signature of the next one no less than a fleet and its manifests, and prove nothing against either.
   */
  private async mustBeUnchanged(
    name: string,
    read: SignedBytes | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (printOf(await this.readSigned(name, signal)) === printOf(read)) return;
    throw new Error(`${this.options.source.where} changed while it was read; reading it again`);
  }

  private isAcceptedFleet(fleet: SignedBytes, trustBytes: Uint8Array) {
    if (this.lastFleet?.print !== fingerprint([trustBytes, fleet])) return null;
    return { ok: true as const, artifact: this.lastFleet.artifact };
  }

  private async readManifests(
    fleet: Fleet,
    running: Running,
    signal: AbortSignal,
  ): Promise<Map<string, SignedBytes>> {
    const found = new Map<string, SignedBytes>();
    const declared = declaredRollouts(fleet).map(({ rolloutId }) => rolloutId);
    for (const rolloutId of [...declared, ...running.keys()]) {
      const signed = await this.readSigned(`rollouts/${rolloutId}`, signal);
      if (signed !== undefined) found.set(rolloutId, signed);
    }
    return found;
  }

  private async readSigned(name: string, signal: AbortSignal): Promise<SignedBytes | undefined> {
    const { source } = this.options;
    const bytes = await source.read(`${name}.json`, signal);
    const sig = await source.read(`${name}.json.sig`, signal);
    return bytes === undefined || sig === undefined ? undefined : { bytes, sig };
  }

  /** Stored first, then announced: the leader must find what the input names. */
  private async accept(
    { fleet, manifests: declared }: VerifiedSet,
    resigned: VerifiedSet['manifests'],
  ): Promise<Hashes> {
    const manifests = new Map([...declared, ...resigned]);
    const stored: StoredArtifact[] = [
      storable('fleet', 'fleet.resolved', fleet, storedFleet(fleet)),
      ...[...manifests].map(([id, manifest]) =>
        storable('manifest', id, manifest, storedManifest(manifest)),
      ),
    ];
    await this.store(stored);
    const hashes: Hashes = new Map([
      ['fleet.resolved', fleet.hash],
      ...[...manifests].map(([id, { hash }]) => [`rollouts/${id}`, hash] as const),
    ]);
    this.context.metrics.count('muster_verifications_total', { outcome: 'ok' }, hashes.size);
    await this.outcomes.tellInForce(hashes);
    await this.context.submit({
      kind: 'ManifestSetUpdated',
      fleetHash: fleet.hash,
      manifests: [...manifests].map(([rolloutId, { hash }]) => ({ rolloutId, hash })),
    });
    this.context.log.info(
      { fleet: fleet.hash, manifests: manifests.size },
      'accepted a manifest set',
    );
    return hashes;
  }

  private async store(artifacts: readonly StoredArtifact[]): Promise<void> {
    const verifiedAt = timeOf(this.context.clock.now());
    if (await this.options.shelf.store(artifacts, verifiedAt)) return;
    throw new Error('another process accepted something newer meanwhile; reading again');
  }

  private async pollList(name: ListName, trust: Trust, signal: AbortSignal): Promise<void> {
    const signed = await this.readSigned(name, signal);
    const kind = name === 'revocations' ? 'revocations' : 'nonces';
    const accepted = await this.options.shelf.accepted();
    const before = accepted.find((artifact) => artifact.kind === kind);
    if (signed === undefined) {
      // Never there: it is not used here. No longer there: somebody may be keeping a newer one back.
      if (before !== undefined) await this.sayMissing(name, signal);
      return;
    }
    const context = {
      trust,
      now: this.context.clock.now(),
      newestAccepted: before === undefined ? undefined : Date.parse(before.signedAt),
    };
    const result =
      kind === 'revocations' ? verifyRevocations(signed, context) : verifyNonces(signed, context);
    if (!result.ok) {
      await this.mustBeUnchanged(name, signed, signal);
      const { reason, detail } = result;
      await this.sayRefused({ artifact: name, reason, detail }, signed);
      return;
    }
    const { artifact } = result;
    const stored = storable(kind, name, artifact, artifact.value);
    await this.store([stored]);
    this.context.metrics.count('muster_verifications_total', { outcome: 'ok' });
    await this.outcomes.tellInForce(new Map([[name, artifact.hash]]));
  }

  private async sayMissing(
    artifact: 'fleet.resolved' | ListName,
    signal: AbortSignal,
  ): Promise<void> {
    await this.mustBeUnchanged(artifact, undefined, signal);
    const detail = `${this.options.source.where} has no ${artifact}.json with a .sig beside it; check MUSTER_SOURCE`;
    await this.sayRefused({ artifact, reason: 'missing', detail });
  }

  private async sayRefusals(
    refusals: readonly SetRefusal[],
    manifests: ReadonlyMap<string, SignedBytes>,
  ): Promise<void> {
    for (const refusal of refusals) {
      await this.sayRefused(refusal, manifests.get(idOf(refusal.artifact)));
    }
  }

  /** Once for the same bytes and reason: an age in the detail grows with every poll. */
  private async sayRefused(
    { artifact, reason, detail }: SetRefusal,
    refused?: SignedBytes,
  ): Promise<void> {
    this.context.metrics.count('muster_verifications_total', { outcome: reason });
    const hash = printOf(refused);
    const news = await this.outcomes.tell({
      kind: 'VerifyOutcome',
      artifact,
      ok: false,
      reason,
      detail,
      hash,
    });
    if (news) this.context.log.warn({ artifact, reason, detail }, 'an artifact was refused');
  }
}

/** Of a manifest's path in the source. */
function idOf(artifact: string): string {
  return artifact.replace(/^rollouts\//, '');
}

function printOf(signed: SignedBytes | undefined): string | null {
  return signed === undefined ? null : fingerprint([signed]);
}

function storable(
  kind: StoredArtifact['kind'],
  name: string,
  artifact: Verified<unknown>,
  content: unknown,
): StoredArtifact {
  return {
    kind,
    name,
    hash: artifact.hash,
    bytes: artifact.bytes,
    signature: artifact.sig,
    content: JSON.stringify(content),
    signedAt: timeOf(artifact.signedAt),
  };
}

function acceptedBefore(accepted: readonly AcceptedArtifact[]): AcceptedBefore | undefined {
  const fleet = accepted.find((artifact) => artifact.kind === 'fleet');
  if (fleet === undefined) return undefined;
  const manifests = new Map(
    accepted
      .filter((artifact) => artifact.kind === 'manifest')
      .map((artifact) => [
        artifact.name,
        {
          signedAt: Date.parse(artifact.signedAt),
          ...(artifact.opened && artifact.contentHash !== null
            ? { openedContentHash: artifact.contentHash }
            : {}),
        },
      ]),
  );
  return { fleetSignedAt: Date.parse(fleet.signedAt), manifests };
}

function fingerprint(parts: readonly (Uint8Array | SignedBytes)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const chunks = part instanceof Uint8Array ? [part] : [part.bytes, part.sig];
    for (const chunk of chunks) hash.update(`${String(chunk.byteLength)}:`).update(chunk);
  }
  return hash.digest('hex');
}
