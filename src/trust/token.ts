/**
 * Bootstrap tokens: by one, the organisation lets one host, with one key, have its first certificate. Signed by
 * the organisation's root key over the JCS bytes of `claims`; whatever else a claim says is covered as well.
 *
 * Nothing of a token is interpreted before its signature is good, so strangers reach the parser and nothing else.
 */
import { Type } from '@sinclair/typebox';
import { canonicalBytes } from './jcs.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { decoder, Hostname, Name } from './shape.ts';
import { verifySignature } from './signature.ts';
import { formatTime, parseTime } from './time.ts';
import type { Trust } from './trust-file.ts';

/** All instants are ms since the epoch. */
export interface TokenClaims {
  readonly hostname: string;
  /** Base64 SHA-256 of the public key (SPKI, DER) that may be certified. */
  readonly expectedPubkeyFingerprint: string;
  readonly nonce: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export type TokenReason = 'bad-token' | 'token-expired';

export type TokenResult =
  | { readonly ok: true; readonly claims: TokenClaims }
  | {
      readonly ok: false;
      readonly reason: TokenReason;
      readonly detail: string;
      /** Well signed, though it cannot be used. */
      readonly claims?: TokenClaims;
    };

/** Longer than any random number anybody would use as a nonce. */
const MAX_NONCE = 200;
/** As between producers, control plane and agents: clocks differ. */
const CLOCK_SLACK_MS = 60_000;

const decodeClaims = decoder(
  Type.Object({
    hostname: Hostname,
    expectedPubkeyFingerprint: Name,
    issuedAt: Name,
    expiresAt: Name,
    nonce: Type.String({ ...Name, maxLength: MAX_NONCE }),
  }),
);

/** `token` as parsed by `parseStrict`. */
export function verifyToken(token: Json | undefined, trust: Trust, now: number): TokenResult {
  if (!isObject(token) || !isObject(token.claims))
    return bad('the token is no object with version, claims and signature');
  if (token.version !== 1)
    return bad(`the token is of version ${shown(token.version)}, and this Muster reads 1`);
  if (trust.orgRootKeys.length === 0)
    return bad('the trust file names no usable orgRootKey: nobody can sign tokens');
  if (!isSigned(token.claims, token.signature, trust))
    return bad('the signature fits no orgRootKey of the trust file; ask for a new token');
  return readClaims(token.claims, trust, now);
}

function isSigned(claims: JsonObject, signature: Json | undefined, trust: Trust): boolean {
  if (typeof signature !== 'string' || signature.length > 100) return false;
  const raw = Buffer.from(signature, 'base64');
  if (raw.toString('base64') !== signature) return false;
  const message = canonicalBytes(claims);
  return trust.orgRootKeys.some((key) => verifySignature(message, raw, key));
}

function readClaims(json: JsonObject, trust: Trust, now: number): TokenResult {
  const decoded = decodeClaims(json);
  if (!decoded.ok) return bad(`claims: ${decoded.detail}`);
  const { hostname, expectedPubkeyFingerprint, nonce } = decoded.value;
  const issuedAt = parseTime(decoded.value.issuedAt);
  const expiresAt = parseTime(decoded.value.expiresAt);
  if (issuedAt === undefined || expiresAt === undefined)
    return bad('claims: issuedAt and expiresAt must be RFC 3339 times');
  const claims = { hostname, expectedPubkeyFingerprint, nonce, issuedAt, expiresAt };
  if (trust.orgRejectBefore !== undefined && issuedAt < trust.orgRejectBefore) {
    const since = formatTime(trust.orgRejectBefore);
    return bad(`issued ${formatTime(issuedAt)}, orgRootKey.rejectBefore is ${since}`, claims);
  }
  if (issuedAt - CLOCK_SLACK_MS > now)
    return bad(`issued ${formatTime(issuedAt)}, which is yet to come: check the clocks`, claims);
  if (expiresAt <= now) {
    const detail = `the token expired ${formatTime(expiresAt)}; ask for a new one`;
    return { ok: false, reason: 'token-expired', detail, claims };
  }
  return { ok: true, claims };
}

function bad(detail: string, claims?: TokenClaims): TokenResult {
  return { ok: false, reason: 'bad-token', detail, ...(claims === undefined ? {} : { claims }) };
}

function shown(version: Json | undefined): string {
  return version === undefined ? 'unknown' : JSON.stringify(version).slice(0, 20);
}
