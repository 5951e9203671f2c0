/**
 * What signs under the authority's key. A signer is given the bytes to be signed and nothing to decide: what a
 * certificate says is made here (`issue.ts`), and what comes back is verified against the authority's certificate.
 */
import type { Authority } from './authority.ts';

export type SigningAlgorithm = 'ecdsa-p256-sha256' | 'ed25519' | 'rsa-sha256';

/** What is signed, for signers that keep a record or have rules of their own. */
export interface ToSign {
  /** The certificate's to-be-signed part, DER. */
  readonly tbs: Uint8Array;
  /** The name that is certified. */
  readonly name: string;
  /** Hex. */
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface Signer {
  /** The signature as it stands in a certificate: of ECDSA the DER form. */
  sign(what: ToSign, authority: Authority): Promise<Uint8Array>;
  /** Rejects with a sentence when it can never sign for this authority. */
  check(authority: Authority): Promise<void>;
}

/** Signing failed for now: the sender tries again. */
export class SignerError extends Error {
  override readonly name = 'SignerError';
}
