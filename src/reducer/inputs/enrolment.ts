/**
 * Who may have a certificate. Signatures, lists and certificate requests are verified by the replica that was
 * asked; what only one place can know is decided here: that a nonce is burnt once, and for which request. The
 * certificate is signed after that is committed, so the log names every certificate before it exists, and a
 * request that was granted may collect the same certificate again, through any replica.
 */
import type { EnrolmentInput, EnrolmentRefusedInput, RenewalInput } from '../input.ts';
import type { Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import type { Sliced } from '../slices.ts';
import { MINUTE, timeOf } from '../time.ts';
import { refused, refuseWhole } from './refusals.ts';

const APPLIED: Verdict = { status: 'applied' };
const NOOP: Verdict = { status: 'noop' };

/** Logged for one nonce: enough to notice that somebody tries, too few to fill the log with. */
const MOST_REFUSALS = 8;
/**
 * A burnt nonce is remembered this long after token and allow-list let it go, in case the list is signed again
 * with a longer life for it.
 */
const REMEMBER_MS = 90 * 24 * 60 * MINUTE;
/** Rows of one Tick; the next one forgets more. */
const FORGET_AT_ONCE = 500;

export function onEnrolmentRequested(pass: Pass, input: EnrolmentInput): Verdict {
  const { kind, hostname, nonce, csrHash, keyFingerprint, certificate, ...until } = input;
  const { tokenExpiresAt, nonceExpiresAt } = until;
  pass.begin({
    kind: 'enrolment',
    hostname,
    actor: hostname,
    payload: {
      ...{ event: kind, nonce, csrHash, keyFingerprint },
      ...{ tokenExpiresAt, nonceExpiresAt, certificate },
    },
  });
  const now = pass.at;
  // Replicas refuse it first: here it keeps clocks that differ, and a long wait in the queue, from opening a gap.
  if (tokenExpiresAt <= now || nonceExpiresAt <= now)
    return refuseWhole(pass, 'token-expired', `the token or its nonce expired before ${now}`);
  const burnt = pass.state.enrolments.get(nonce);
  if (burnt !== undefined) {
    if (burnt.csrHash === csrHash && burnt.hostname === hostname) return NOOP;
    return refuseUsed(pass, nonce, burnt.refusals);
  }
  const set = {
    ...{ hostname, csrHash, keyFingerprint, ...certificate },
    ...{ tokenExpiresAt, nonceExpiresAt, burntAt: now, refusals: 0 },
  };
  pass.write([{ t: 'enrolment', nonce, set }]);
  return APPLIED;
}

function refuseUsed(pass: Pass, nonce: string, refusals: number): Verdict {
  const detail = 'this nonce was used for another certificate request; ask for a new token';
  if (refusals >= MOST_REFUSALS) return refused('nonce-used', detail);
  return refuseWhole(pass, 'nonce-used', detail, [
    { t: 'enrolment', nonce, set: { refusals: refusals + 1 } },
  ]);
}

export function onEnrolmentRefused(pass: Pass, input: EnrolmentRefusedInput): Verdict {
  const { kind, hostname, nonce, keyFingerprint, code, detail } = input;
  pass.begin({
    kind: 'enrolment',
    hostname,
    actor: hostname,
    payload: { event: kind, nonce, keyFingerprint, code, detail },
  });
  pass.write();
  return APPLIED;
}

export function onCertificateRenewed(pass: Pass, input: RenewalInput): Verdict {
  const { kind, hostname, csrHash, keyFingerprint, previousKeyFingerprint, certificate } = input;
  pass.begin({
    kind: 'enrolment',
    hostname,
    actor: hostname,
    payload: { event: kind, csrHash, keyFingerprint, previousKeyFingerprint, certificate },
  });
  pass.write();
  return APPLIED;
}

/** Nonces that no token and no list has let in for long: nobody can use them, burnt or not. */
export function* forgetNonces(pass: Pass): Sliced {
  const before = timeOf(pass.now - REMEMBER_MS);
  const old: string[] = [];
  for (const { nonce, tokenExpiresAt, nonceExpiresAt } of pass.state.enrolments.values()) {
    if (tokenExpiresAt < before && nonceExpiresAt < before) old.push(nonce);
    if (pass.isSliceOver()) yield;
  }
  if (old.length === 0) return;
  // Sorted first: in which order they are found depends on what was read from tables.
  const nonces = old.sort().slice(0, FORGET_AT_ONCE);
  pass.emit({
    kind: 'enrolment',
    payload: { event: 'NoncesForgotten', nonces },
    changes: nonces.map((nonce) => ({ t: 'enrolment', nonce, set: null })),
  });
}
