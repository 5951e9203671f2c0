/**
 * Authorities and certificates, good and bad, made while a test runs: none is kept anywhere. Keys are P-256,
 * which is quick to make.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  BasicConstraintsExtension,
  type Extension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface Identification {
  readonly cert: string;
  readonly key: string;
}

export interface Pair extends Identification {
  readonly der: Buffer;
}

export interface Wanted {
  readonly cn?: string | readonly string[];
  readonly ou?: readonly string[];
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly usages?: readonly ExtendedKeyUsage[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly extensions?: readonly Extension[];
  readonly hash?: string;
  readonly keys?: CryptoKeyPair;
}

export interface Authority extends Pair {
  issue(wanted: Wanted): Promise<Pair>;
  /** An authority below this one. */
  issueAuthority(cn: string): Promise<Authority>;
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const HOUR_MS = 3_600_000;

export async function newAuthority(cn: string, wanted: Wanted = {}): Promise<Authority> {
  const keys = wanted.keys ?? (await newKeys());
  const pair = await make({ cn, ca: true, usages: [], ...wanted }, keys, keys, [{ CN: [cn] }]);
  return authorityOf(pair, keys);
}

function authorityOf(pair: Pair, keys: CryptoKeyPair): Authority {
  const subject = new X509Certificate(pair.cert).subjectName.toJSON();
  return {
    ...pair,
    issue: async (leaf) => make(leaf, leaf.keys ?? (await newKeys()), keys, subject),
    issueAuthority: async (cn) => {
      const own = await newKeys();
      return authorityOf(await make({ cn, ca: true, usages: [] }, own, keys, subject), own);
    },
  };
}

export function newKeys(
  algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams = P256,
): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

/** Writes both halves and gives their paths. */
export function writePair(
  dir: string,
  name: string,
  { cert, key }: Pair,
): { readonly cert: string; readonly key: string } {
  const files = { cert: path.join(dir, `${name}.crt`), key: path.join(dir, `${name}.key`) };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  return files;
}

async function make(
  wanted: Wanted,
  keys: CryptoKeyPair,
  signer: CryptoKeyPair,
  issuer: JsonName,
): Promise<Pair> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    issuer,
    subject: subjectOf(wanted),
    notBefore: wanted.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: wanted.notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: wanted.hash ?? 'SHA-256' },
    extensions: extensionsOf(wanted),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const lines = pkcs8.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`,
    der: Buffer.from(certificate.rawData),
  };
}

function subjectOf({ cn = [], ou = [] }: Wanted): JsonName {
  const names = typeof cn === 'string' ? [cn] : cn;
  return [...names.map((name) => ({ CN: [name] })), ...ou.map((unit) => ({ OU: [unit] }))];
}

function extensionsOf(wanted: Wanted): Extension[] {
  const {
    ca = false,
    dns = [],
    ip = [],
    usages = [ExtendedKeyUsage.clientAuth],
    extensions = [],
  } = wanted;
  const names = [
    ...dns.map((value) => ({ type: 'dns' as const, value })),
    ...ip.map((value) => ({ type: 'ip' as const, value })),
  ];
  const flags = ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature;
  return [
    new BasicConstraintsExtension(ca, undefined, true),
    new KeyUsagesExtension(flags, true),
    ...(usages.length === 0 ? [] : [new ExtendedKeyUsageExtension([...usages])]),
    ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
    ...extensions,
  ];
}
