/**
 * A whole set: one fleet and the manifest of every rollout it declares. It is accepted as a whole or not at
 * all, since half a set would be a mixture that nobody signed; on refusal the last one stays in force.
 *
 * Freshness: fleet and manifests alike are held to the *largest* of the channels' windows. A channel with
 * a shorter one must not stop the others: it is held back by its own gate, `manifest-stale`.
 */
import type { RolloutId } from '../wire/ids.ts';
import { manifestDeadlock } from './deadlock.ts';
import { declaredRollouts, type Fleet, largestWindow } from './fleet.ts';
import type { RolloutManifest } from './manifest.ts';
import type { Trust } from './trust-file.ts';
import {
  refuse,
  type SignedBytes,
  type Verified,
  verifyFleet,
  verifyManifest,
  type VerifyReason,
  type VerifyResult,
} from './verify.ts';

export interface VerifiedSet {
  readonly fleet: Verified<Fleet>;
  /** By rollout id: exactly those that the fleet declares. */
  readonly manifests: ReadonlyMap<RolloutId, Verified<RolloutManifest>>;
}

export interface SetRefusal {
  /** Its path in the source, less `.json`: `fleet.resolved`, `rollouts/stable@a1b2`. */
  artifact: string;
  /** `missing`: the fleet declares this rollout, and the source has no manifest of it. */
  reason: VerifyReason | 'missing';
  detail: string;
}
export type SetResult = { ok: true; set: VerifiedSet } | { ok: false; refusals: SetRefusal[] };

/** What was accepted before; all instants are ms since the epoch. */
export interface AcceptedBefore {
  readonly fleetSignedAt: number;
  readonly manifests: ReadonlyMap<string, AcceptedManifest>;
}
export interface AcceptedManifest {
  readonly signedAt: number;
  /** `contentHash`, from when the rollout is opened: from then on it may not change. */
  readonly openedContentHash?: string;
}

export interface SetContext {
  readonly trust: Trust;
  readonly now: number;
  readonly previous?: AcceptedBefore | undefined;
}

export type ManifestSource = (rolloutId: RolloutId) => SignedBytes | undefined;

export function verifySet(
  fleet: SignedBytes,
  manifests: ManifestSource,
  context: SetContext,
): SetResult {
  const result = verifySetFleet(fleet, context);
  if (result.ok) return verifyManifests(result.artifact, manifests, context);
  return {
    ok: false,
    refusals: [{ artifact: 'fleet.resolved', reason: result.reason, detail: result.detail }],
  };
}

/** First half, for a caller who learns from the fleet which manifests to fetch (`declaredRollouts`). */
export function verifySetFleet(
  signed: SignedBytes,
  { trust, now, previous }: SetContext,
): VerifyResult<Fleet> {
  return verifyFleet(signed, { trust, now, newestAccepted: previous?.fleetSignedAt });
}

/** Second half. All manifests are looked at, so that an operator learns of every fault at once. */
export function verifyManifests(
  fleet: Verified<Fleet>,
  source: ManifestSource,
  context: SetContext,
): SetResult {
  const manifests = new Map<RolloutId, Verified<RolloutManifest>>();
  const refusals: SetRefusal[] = [];
  for (const { rolloutId } of declaredRollouts(fleet.value)) {
    const artifact = `rollouts/${rolloutId}`;
    const signed = source(rolloutId);
    if (signed === undefined) {
      refusals.push({
        artifact,
        reason: 'missing',
        detail: `the fleet declares ${rolloutId}: publish its manifest`,
      });
      continue;
    }
    const result = verifyOne(fleet, rolloutId, signed, context);
    if (result.ok) manifests.set(rolloutId, result.artifact);
    else refusals.push({ artifact, reason: result.reason, detail: result.detail });
  }
  return refusals.length === 0 ? { ok: true, set: { fleet, manifests } } : { ok: false, refusals };
}

/**
 * The manifest of a rollout that goes on although the fleet declares its successor already (finish-first), signed
 * again to stay fresh. Null while it is the one that was accepted: then nothing of it is refused either, since
 * CI need not sign what is history soon. Part of no set: its refusal holds up nobody else.
 */
export function verifyResigned(
  fleet: Verified<Fleet>,
  rolloutId: RolloutId,
  signed: SignedBytes,
  context: SetContext & { readonly acceptedHash: string },
): VerifyResult<RolloutManifest> | null {
  const { trust, now, acceptedHash } = context;
  const read = verifyManifest(signed, { trust, now, rolloutId, fleetHash: undefined });
  if (read.ok && read.artifact.hash === acceptedHash) return null;
  return verifyOne(fleet, rolloutId, signed, context);
}

function verifyOne(
  fleet: Verified<Fleet>,
  rolloutId: RolloutId,
  signed: SignedBytes,
  { trust, now, previous }: SetContext,
): VerifyResult<RolloutManifest> {
  const before = previous?.manifests.get(rolloutId);
  const result = verifyManifest(signed, {
    trust,
    now,
    rolloutId,
    fleetHash: fleet.hash,
    freshnessMinutes: largestWindow(fleet.value),
    newestAccepted: before?.signedAt,
    openedContentHash: before?.openedContentHash,
  });
  if (!result.ok) return result;
  const deadlock = manifestDeadlock(fleet.value, result.artifact.value);
  return deadlock === undefined ? result : refuse('configuration-deadlock', deadlock);
}
