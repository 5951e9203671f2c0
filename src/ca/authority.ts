/**
 * The fleet's certificate authority as this replica has it: a certificate, and something that signs under it. The
 * files are read for every certificate, which are few (a host needs one in fifteen days), so a renewed authority
 * is in force at once and no key stays in memory.
 */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { X509Certificate as NativeCertificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { X509Certificate } from '@peculiar/x509';
import type { SigningAlgorithm, Signer } from './signer.ts';

export interface Authority {
  readonly certificate: X509Certificate;
  readonly native: NativeCertificate;
  readonly algorithm: SigningAlgorithm;
}

/** A sentence for whoever configured it. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
}

export async function readAuthority(certFile: string): Promise<Authority> {
  const pem = await readFile(certFile, 'utf8').catch((error: unknown): never => {
    throw new AuthorityError(`cannot read MUSTER_CA_CERT_FILE ${certFile} (${textOf(error)})`);
  });
  try {
    const native = new NativeCertificate(pem);
    if (!native.ca) throw new Error('it is no certificate authority');
    return {
      certificate: new X509Certificate(native.raw),
      native,
      algorithm: algorithmOf(native),
    };
  } catch (error) {
    throw new AuthorityError(`MUSTER_CA_CERT_FILE ${certFile} cannot be used: ${textOf(error)}`);
  }
}

function algorithmOf({ publicKey }: NativeCertificate): SigningAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  if (type === 'ed25519') return 'ed25519';
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ecdsa-p256-sha256';
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2_048) return 'rsa-sha256';
  throw new Error('its key must be P-256, Ed25519, or RSA of at least 2048 bits');
}

/** Rejects with a sentence when the authority cannot sign now. */
export async function tryAuthority(certFile: string, signer: Signer): Promise<void> {
  await signer.check(await readAuthority(certFile));
}

/** What a sentence says of it. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
