/** A new authority for a fleet, for `muster ca init` and for tests: a key and a certificate signed by it. */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

export const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A certificate and its key. */
export interface NewPair {
  readonly certPem: string;
  /** PKCS #8, PEM. */
  readonly keyPem: string;
}

/** It issues to hosts only: no authority below it is one. */
export async function createAuthority(
  name: string,
  notBefore: Date,
  notAfter: Date,
): Promise<NewPair> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    notBefore,
    notAfter,
    keys,
    signingAlgorithm: P256,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pairOf(certificate, keys);
}

export async function pairOf(
  certificate: X509Certificate,
  { privateKey }: webcrypto.CryptoKeyPair,
): Promise<NewPair> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return {
    certPem: `${certificate.toString('pem')}\n`,
    keyPem: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
  };
}

/** 120 random bits: 64 are asked for of public authorities; the first byte keeps it positive. */
export function newSerial(): string {
  return `01${randomBytes(15).toString('hex')}`;
}
