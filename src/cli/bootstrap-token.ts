/** A bootstrap token, by which one host with one key may enrol once, and what the list of nonces needs for it. */
import { randomBytes } from 'node:crypto';
import { signToken, type SigningKey } from '../trust/sign.ts';

export interface WantedToken {
  readonly hostname: string;
  /** Base64 SHA-256 of the host's public key. */
  readonly keyFingerprint: string;
  readonly lifetimeMs: number;
  /** Undefined: 128 random bits. */
  readonly nonce?: string | undefined;
}

/** `entry` is of `bootstrap-nonces.json`. */
export function bootstrapToken(
  {
    hostname,
    keyFingerprint,
    lifetimeMs,
    nonce = randomBytes(16).toString('base64url'),
  }: WantedToken,
  root: SigningKey,
) {
  const now = Date.now();
  const issuedAt = new Date(now).toISOString();
  const expiresAt = new Date(now + lifetimeMs).toISOString();
  const claims = {
    hostname,
    expectedPubkeyFingerprint: keyFingerprint,
    issuedAt,
    expiresAt,
    nonce,
  };
  return { token: signToken(claims, root), entry: { nonce, hostname, expiresAt } };
}
