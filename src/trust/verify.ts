/**
 * The verification of one signed artifact, by the control plane and by agents alike.
 *
 * The order is part of the contract (the first failing check gives the reason): nothing of a document is
 * interpreted before its signature is good, so an attacker's bytes reach only the parser and the
 * canonicaliser. Then version, signing time, `rejectBefore`; then its shape; then freshness, which needs
 * the shape (a fleet carries its own windows); last what depends on other artifacts.
 */
import { fleetDeadlock } from './deadlock.ts';
import { decodeFleet, type Fleet, largestWindow } from './fleet.ts';
import { canonicalBytes, sha256Hex } from './jcs.ts';
import { isObject, type Json, parseStrict } from './json.ts';
import {
  type BootstrapNonces,
  decodeNonces,
  decodeRevocations,
  type Revocations,
} from './lists.ts';
import { decodeManifest, type RolloutManifest } from './manifest.ts';
import type { Decoded } from './shape.ts';
import { verifySignature } from './signature.ts';
import { formatTime, parseTime } from './time.ts';
import type { Trust } from './trust-file.ts';

export type VerifyReason =
  | 'bad-signature'
  | 'not-canonicalisable'
  | 'unsupported-schema-version'
  | 'not-signed'
  | 'rejected-before'
  | 'stale'
  | 'future-dated'
  | 'rollback'
  | 'wrong-rollout-id'
  | 'wrong-fleet-hash'
  | 'rollout-mutated'
  | 'configuration-deadlock'
  /** Well signed and canonical, and not what the schema says. */
  | 'malformed';

export interface Refusal {
  ok: false;
  reason: VerifyReason;
  /** A sentence for people; may quote the artifact. */
  detail: string;
}
export type VerifyResult<T> = { ok: true; artifact: Verified<T> } | Refusal;

/** The two files as they were fetched. */
export interface SignedBytes {
  readonly bytes: Uint8Array;
  /** 64 raw bytes */
  readonly sig: Uint8Array;
}

/** All instants are ms since the epoch. */
export interface VerifyContext {
  readonly trust: Trust;
  readonly now: number;
  /** `signedAt` of the newest that was accepted in this artifact's place; nothing older is taken again. */
  readonly newestAccepted?: number | undefined;
  /** Age limit in minutes. Absent: a fleet's own largest window; no limit for the others, which carry none. */
  readonly freshnessMinutes?: number | undefined;
}

/** What a manifest must agree with. `undefined` leaves a check out, and has to be said. */
export interface ManifestContext extends VerifyContext {
  readonly rolloutId: string | undefined;
  /** SHA-256 hex of the JCS bytes of the fleet it was resolved from. */
  readonly fleetHash: string | undefined;
  /** `contentHash` of the manifest that this rollout was opened with, once it is. */
  readonly openedContentHash?: string | undefined;
}

/** Clocks differ; producers, control plane and agents allow each other this much. */
const CLOCK_SLACK_MS = 60_000;
const MINUTE_MS = 60_000;

/** Whoever makes one must have this, and it is not exported: `constructor` of one that is there makes no other. */
const MAKER = Symbol('maker');

class VerifiedArtifact<T> {
  // A protected member makes the type nominal, and the class is not exported: only this file makes one.
  declare protected readonly nominal: true;
  readonly value: T;
  /** The file and its signature as they came, to be kept and served unchanged. */
  readonly bytes: Uint8Array;
  readonly sig: Uint8Array;
  /** SHA-256 hex of the JCS bytes, as in `fleetResolvedHash`. */
  readonly hash: string;
  /** ms since the epoch */
  readonly signedAt: number;

  constructor(maker: typeof MAKER, value: T, signed: SignedBytes, hash: string, signedAt: number) {
    if (maker !== MAKER) throw new TypeError('only verification makes a verified artifact');
    this.value = value;
    this.bytes = signed.bytes;
    this.sig = signed.sig;
    this.hash = hash;
    this.signedAt = signedAt;
    // What was verified is what it stays, down to its last host.
    freezeDeep(value);
    Object.freeze(this);
  }
}

function freezeDeep(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  // A frozen map still takes entries, by methods of its own.
  if (value instanceof Map) Object.assign(value, { set: sealed, delete: sealed, clear: sealed });
  Object.freeze(value);
  for (const member of value instanceof Map ? value.values() : Object.values(value))
    freezeDeep(member);
}

function sealed(): never {
  throw new TypeError('a verified artifact stays as it was verified');
}

/** Proof that a document passed every check; cannot be made elsewhere. */
export type Verified<T> = VerifiedArtifact<T>;

export function verifyFleet(signed: SignedBytes, context: VerifyContext): VerifyResult<Fleet> {
  const result = verify(signed, context, decodeFleet, largestWindow);
  if (!result.ok) return result;
  const deadlock = fleetDeadlock(result.artifact.value);
  return deadlock === undefined ? result : refuse('configuration-deadlock', deadlock);
}

export function verifyManifest(
  signed: SignedBytes,
  context: ManifestContext,
): VerifyResult<RolloutManifest> {
  const result = verify(signed, context, decodeManifest, noWindow);
  if (!result.ok) return result;
  return checkBinding(result.artifact.value, context) ?? result;
}

export function verifyRevocations(
  signed: SignedBytes,
  context: VerifyContext,
): VerifyResult<Revocations> {
  return verify(signed, context, decodeRevocations, noWindow);
}

export function verifyNonces(
  signed: SignedBytes,
  context: VerifyContext,
): VerifyResult<BootstrapNonces> {
  return verify(signed, context, decodeNonces, noWindow);
}

function verify<T>(
  signed: SignedBytes,
  context: VerifyContext,
  decode: (json: Json) => Decoded<T>,
  ownWindow: (value: T) => number | undefined,
): VerifyResult<T> {
  const authentic = authenticate(signed, context.trust);
  if (!authentic.ok) return authentic;
  const envelope = checkEnvelope(authentic.json, context);
  if (!envelope.ok) return envelope;
  const decoded = decode(authentic.json);
  if (!decoded.ok) return refuse('malformed', decoded.detail);
  const { signedAt } = envelope;
  const window = context.freshnessMinutes ?? ownWindow(decoded.value);
  const late = checkAge(signedAt, window, context);
  if (late !== undefined) return late;
  return {
    ok: true,
    artifact: new VerifiedArtifact(MAKER, decoded.value, signed, authentic.hash, signedAt),
  };
}

function authenticate(
  signed: SignedBytes,
  trust: Trust,
): { ok: true; json: Json; hash: string } | Refusal {
  const parsed = parseStrict(signed.bytes);
  if (!parsed.ok) return refuse('not-canonicalisable', parsed.detail);
  const canonical = canonicalBytes(parsed.value);
  if (!trust.releaseKeys.some((key) => verifySignature(canonical, signed.sig, key))) {
    return refuse('bad-signature', badSignatureDetail(signed.sig.length, trust.releaseKeys.length));
  }
  return { ok: true, json: parsed.value, hash: sha256Hex(canonical) };
}

function badSignatureDetail(length: number, keys: number): string {
  if (length !== 64) return `a signature is 64 raw bytes, and this one is ${String(length)}`;
  return `the signature fits none of the ${String(keys)} usable key(s) of the trust file`;
}

/** What every artifact says about itself, before its own schema is asked. */
function checkEnvelope(
  json: Json,
  { trust }: VerifyContext,
): { ok: true; signedAt: number } | Refusal {
  if (!isObject(json)) return refuse('malformed', 'the document is not an object');
  const meta = isObject(json.meta) ? json.meta : {};
  const version = unsupportedVersion(json.schemaVersion, meta.schemaVersion ?? 1);
  if (version !== undefined) return version;
  const stated = meta.signedAt ?? undefined;
  if (stated === undefined) return refuse('not-signed', 'meta.signedAt is absent');
  const signedAt = typeof stated === 'string' ? parseTime(stated) : undefined;
  if (signedAt === undefined) return refuse('malformed', 'meta.signedAt is not an RFC 3339 time');
  if (trust.rejectBefore !== undefined && signedAt < trust.rejectBefore) {
    return refuse(
      'rejected-before',
      `signed ${formatTime(signedAt)}, rejectBefore is ${formatTime(trust.rejectBefore)}`,
    );
  }
  return { ok: true, signedAt };
}

function unsupportedVersion(...versions: (Json | undefined)[]): Refusal | undefined {
  const odd = versions.find((version) => version !== 1);
  if (odd === undefined && !versions.includes(undefined)) return undefined;
  const stated = odd === undefined ? 'absent' : JSON.stringify(odd);
  return refuse(
    'unsupported-schema-version',
    `schemaVersion is ${stated}, and this version of Muster reads 1`,
  );
}

function checkAge(
  signedAt: number,
  window: number | undefined,
  context: VerifyContext,
): Refusal | undefined {
  const age = context.now - signedAt;
  const signed = `signed ${formatTime(signedAt)}, now ${formatTime(context.now)}`;
  if (-age > CLOCK_SLACK_MS) return refuse('future-dated', `${signed}: check the clocks`);
  if (window !== undefined && age > window * MINUTE_MS + CLOCK_SLACK_MS) {
    return refuse('stale', `${signed}, freshness window ${String(window)} min: sign it again`);
  }
  const { newestAccepted } = context;
  if (newestAccepted !== undefined && signedAt < newestAccepted) {
    return refuse(
      'rollback',
      `signed ${formatTime(signedAt)}, and ${formatTime(newestAccepted)} was already accepted`,
    );
  }
  return undefined;
}

function checkBinding(manifest: RolloutManifest, context: ManifestContext): Refusal | undefined {
  const { rolloutId, fleetHash, openedContentHash } = context;
  if (rolloutId !== undefined && manifest.rolloutId !== rolloutId) {
    return refuse('wrong-rollout-id', `asked for ${rolloutId}, and this is ${manifest.rolloutId}`);
  }
  if (fleetHash !== undefined && manifest.fleetResolvedHash !== fleetHash) {
    return refuse(
      'wrong-fleet-hash',
      `resolved from fleet ${manifest.fleetResolvedHash}, and the fleet is ${fleetHash}`,
    );
  }
  if (openedContentHash !== undefined && manifest.contentHash !== openedContentHash) {
    return refuse(
      'rollout-mutated',
      `${manifest.rolloutId} was opened with another content: push a new commit`,
    );
  }
  return undefined;
}

function noWindow(): undefined {
  return undefined;
}

export function refuse(reason: VerifyReason, detail: string): Refusal {
  return { ok: false, reason, detail };
}
