/**
 * Detached signatures under a key of the trust file.
 *
 * node:crypto (OpenSSL) does both algorithms the way existing agents do (ed25519-dalek's
 * `verify_strict`, RustCrypto's p256), with the gaps closed here:
 * - Ed25519: OpenSSL refuses S >= L, and compares the encoding of R byte for byte (the cofactorless
 *   equation), so a signature cannot be altered and stay good. But it takes keys and R values of small
 *   order, under which one signature fits many messages: those are refused below, as dalek does.
 * - ECDSA P-256: `ieee-p1363` is exactly r‖s of 32 bytes each, checked to lie in 1 … n-1. OpenSSL takes
 *   both s and n-s ("high s"), which the protocol wants: HSMs and KMSs do not normalise. Importing the
 *   key as a JWK checks that the point is on the curve.
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify as verifyRaw } from 'node:crypto';

export type Algorithm = 'ed25519' | 'ecdsa-p256';

/** A public key of the trust file, ready for use. */
export interface TrustKey {
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
}

export type KeyResult = { ok: true; key: TrustKey } | { ok: false; detail: string };

/** Both algorithms: R‖S or r‖s. */
const SIGNATURE_BYTES = 64;

export function isAlgorithm(name: string): name is Algorithm {
  return name === 'ed25519' || name === 'ecdsa-p256';
}

/** `publicKey` is base64, with padding: 32 bytes for ed25519, X‖Y of 64 bytes for ecdsa-p256. */
export function importKey(algorithm: Algorithm, publicKey: string): KeyResult {
  const wanted = algorithm === 'ed25519' ? 32 : 64;
  const raw = Buffer.from(publicKey, 'base64');
  if (raw.length !== wanted || raw.toString('base64') !== publicKey) {
    return {
      ok: false,
      detail: `a public key of ${algorithm} is ${String(wanted)} bytes in base64`,
    };
  }
  if (algorithm === 'ed25519' && !isSoundPoint(raw)) {
    return {
      ok: false,
      detail: 'this ed25519 key is of small order or not canonical: anyone could sign under it',
    };
  }
  try {
    return {
      ok: true,
      key: { algorithm, key: createPublicKey({ format: 'jwk', key: toJwk(algorithm, raw) }) },
    };
  } catch {
    return { ok: false, detail: `this ${algorithm} key is not a point of its curve` };
  }
}

/** True only for a good signature; malformed ones are merely bad. */
export function verifySignature(
  message: Uint8Array,
  signature: Uint8Array,
  trusted: TrustKey,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  switch (trusted.algorithm) {
    case 'ed25519':
      return (
        !isSmallOrder(signature.subarray(0, 32)) && verifyRaw(null, message, trusted.key, signature)
      );
    case 'ecdsa-p256':
      return verifyRaw(
        'sha256',
        message,
        { key: trusted.key, dsaEncoding: 'ieee-p1363' },
        signature,
      );
  }
}

function toJwk(algorithm: Algorithm, raw: Buffer): JsonWebKey {
  if (algorithm === 'ed25519') return { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  const [x, y] = [raw.subarray(0, 32), raw.subarray(32)];
  return { kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') };
}

/** p = 2^255 - 19, the field of curve 25519. */
const FIELD = 2n ** 255n - 19n;

/**
 * The y coordinates of the eight points of small order: 0 (order 4), 1 and -1 (orders 1 and 2), and the
 * two of order 8. The sign bit and multiples of p give the other encodings of the same points.
 */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  FIELD - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]);

function isSmallOrder(point: Uint8Array): boolean {
  return SMALL_ORDER_Y.has(coordinateY(point) % FIELD);
}

function isSoundPoint(point: Uint8Array): boolean {
  return coordinateY(point) < FIELD && !isSmallOrder(point);
}

/** Little-endian, the top bit being the sign of x. */
function coordinateY(point: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(point).reverse().toString('hex')}`) & (2n ** 255n - 1n);
}
