/** Composition of enrolment: which authority issues certificates, and what signs for it. */
import type { EnrolmentOptions } from '../api/enrolment/enrolment.ts';
import { trustReader } from '../api/enrolment/trust.ts';
import { tryAuthority } from '../ca/authority.ts';
import { commandSigner } from '../ca/command.ts';
import { createIssuer } from '../ca/issue.ts';
import { keyFileSigner } from '../ca/key-file.ts';
import type { Signer } from '../ca/signer.ts';
import { childEnvironment, type Config } from '../config.ts';
import type { Logger } from '../telemetry.ts';

/** A certificate begins this much before it is made: clocks differ by seconds, this is room for bad ones. */
const LEAST_BACKDATE_MS = 5 * 60_000;
/** Of the signing program: an agent gives up after 10 s, and the verdict comes before it. */
const SIGN_TIMEOUT_MS = 5_000;

export function enrolmentOptions(config: Config, log: Logger): EnrolmentOptions | null {
  const { caCertFile, trustFile, hostnameSuffix, certificateDays, pollSeconds } = config;
  if (caCertFile === null || trustFile === null) return null;
  return {
    issuer: createIssuer(caCertFile, signerOf(config)),
    trust: trustReader(trustFile, log),
    hostnameSuffix,
    certificateMs: certificateDays * 86_400_000,
    // Two polls: what is renewed before a revocation is known must begin before it.
    backdateMs: Math.max(LEAST_BACKDATE_MS, 2_000 * pollSeconds),
  };
}

function signerOf({ caKeyFile, caSignCommand }: Config): Signer {
  if (caSignCommand !== null) {
    const env = childEnvironment();
    return commandSigner({ command: caSignCommand, timeoutMs: SIGN_TIMEOUT_MS, env });
  }
  if (caKeyFile === null) throw new Error('an authority without anything that signs');
  return keyFileSigner(caKeyFile);
}

/** Ends the start when no certificate could ever be issued: better now than when the first host asks. */
export async function checkAuthority(config: Config): Promise<void> {
  if (config.caCertFile !== null) await tryAuthority(config.caCertFile, signerOf(config));
}
