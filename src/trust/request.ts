/**
 * Certificate requests (PKCS #10), read and made. Of a request only the key and the names are looked at; what
 * else it asks for is nobody's business, since a certificate says what its issuer decides. Its own signature
 * proves that the sender holds the key.
 *
 * Parsed by @peculiar/x509, checked by OpenSSL through Node: nothing here reads ASN.1.
 */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { createHash, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import {
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import type { Decoded } from './shape.ts';

export interface CertificateRequest {
  /** SHA-256 hex of its DER. */
  readonly hash: string;
  /** Base64 SHA-256 of the public key, as tokens name it. */
  readonly keyFingerprint: string;
  /** The public key, DER. */
  readonly spki: Uint8Array;
  /** Every name that it asks for: common names and DNS names. */
  readonly names: readonly string[];
}

/** One for an RSA key of 4096 bits with a name or two has 2 kB; more than this is none. */
const MAX_PEM = 16 * 1024;
const TAGS: readonly string[] = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'];
const RSA_BITS = { least: 2_048, most: 4_096 } as const;
const HASHES: ReadonlySet<string> = new Set(['SHA-256', 'SHA-384', 'SHA-512']);

/** The detail of a refusal says what to send instead. */
export async function readRequest(pem: string): Promise<Decoded<CertificateRequest>> {
  if (pem.length > MAX_PEM) return no(`it is longer than ${String(MAX_PEM)} characters`);
  try {
    const [block, another] = PemConverter.decodeWithHeaders(pem);
    if (block === undefined || another !== undefined || !TAGS.includes(block.type))
      return no('send one block of PEM, -----BEGIN CERTIFICATE REQUEST-----');
    const der = new Uint8Array(block.rawData);
    return await check(new Pkcs10CertificateRequest(der), der);
  } catch (error) {
    return no(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function check(
  request: Pkcs10CertificateRequest,
  der: Uint8Array,
): Promise<Decoded<CertificateRequest>> {
  const spki = new Uint8Array(request.publicKey.rawData);
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  const weak = weakness(key);
  if (weak !== null) return no(weak);
  if (!isUsualForm(key, spki)) return no('its key is not written in the usual form');
  const { name, hash } = request.signatureAlgorithm;
  if (name !== 'Ed25519' && name !== 'EdDSA' && !HASHES.has(hash.name))
    return no('sign it with SHA-256');
  if (!(await request.verify())) return no('it is not signed by the key it asks a certificate for');
  const alternative = request.extensions.find(
    (one) => one instanceof SubjectAlternativeNameExtension,
  );
  const names = alternative?.names.items ?? [];
  const odd = names.find(({ type }) => type !== 'dns');
  if (odd !== undefined)
    return no(`it asks for a name of type ${odd.type}; ask for DNS names only`);
  return {
    ok: true,
    value: {
      hash: createHash('sha256').update(der).digest('hex'),
      keyFingerprint: fingerprintOf(spki),
      spki,
      names: [...request.subjectName.getField('CN'), ...names.map(({ value }) => value)],
    },
  };
}

/** Of a P-256 key with its whole point; with half of it, 59. */
const WHOLE_POINT_BYTES = 91;

/** One key has one fingerprint: written in another way it would pass for a new one when it is renewed. */
function isUsualForm(key: KeyObject, spki: Uint8Array): boolean {
  if (key.asymmetricKeyType === 'ec' && spki.byteLength !== WHOLE_POINT_BYTES) return false;
  return key.export({ type: 'spki', format: 'der' }).equals(spki);
}

/** Why a key may not be certified; null if it may. */
function weakness({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  if (type === 'ed25519') return null;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return null;
  if (type === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    // Longer ones cost every replica milliseconds of each handshake, and nobody needs them for 30 days.
    const fits = bits >= RSA_BITS.least && bits <= RSA_BITS.most;
    if (fits && details?.publicExponent === 65_537n) return null;
  }
  return 'its key must be P-256, Ed25519, or RSA of 2048 to 4096 bits with the exponent 65537';
}

/** Base64 SHA-256 of a public key in DER (SPKI). */
export function fingerprintOf(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64');
}

/** A fresh P-256 key, which every TLS stack takes, and a request for it. */
export interface NewRequest {
  readonly csrPem: string;
  /** PKCS #8, PEM. */
  readonly keyPem: string;
  readonly keyFingerprint: string;
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** X.520's bound on common names. */
const MAX_COMMON_NAME = 64;

export async function makeRequest(name: string): Promise<NewRequest> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: P256,
    ...(name.length > MAX_COMMON_NAME ? {} : { name: [{ CN: [name] }] }),
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const spki = new Uint8Array(request.publicKey.rawData);
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    csrPem: `${request.toString('pem')}\n`,
    keyPem: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    keyFingerprint: fingerprintOf(spki),
  };
}

function no(detail: string): { readonly ok: false; readonly detail: string } {
  return { ok: false, detail };
}
