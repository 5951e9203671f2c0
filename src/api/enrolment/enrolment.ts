/**
 * Certificates for hosts. What can be verified is verified here, by any replica: the token's signature, the
 * request's own, that one is for the key of the other, the nonce on the signed list. Then an input asks the leader
 * to burn the nonce for this request, and only when that is committed a certificate is signed: the one that the
 * burn names, so that a repeat through any replica collects the same one, and nobody a second.
 *
 * Refusals of strangers are metrics. One of somebody whose token the organisation did sign is a row of the log as
 * well, once for each nonce and reason: it may be a stolen one.
 */
import { createHash } from 'node:crypto';
import { AuthorityError } from '../../ca/authority.ts';
import { newSerial } from '../../ca/create.ts';
import type { Issuer, Order } from '../../ca/issue.ts';
import { SignerError } from '../../ca/signer.ts';
import {
  hasNonces,
  readBurnt,
  readNonce,
  readRevokedBefore,
  type ListedNonce,
} from '../../db/enrolment.ts';
import type { PlannedCertificate } from '../../reducer/input.ts';
import { isObject, parseStrict } from '../../trust/json.ts';
import { readRequest, type CertificateRequest } from '../../trust/request.ts';
import { verifyToken, type TokenClaims } from '../../trust/token.ts';
import type { Trust } from '../../trust/trust-file.ts';
import type { CertificateAnswer } from '../../wire/enrolment.ts';
import { problemCode } from '../../wire/problem.ts';
import type { ApiDeps, Submitted } from '../deps.ts';
import type { OwnCertificate } from '../identity/identity.ts';
import { fromDatabase, notAccepted, Refusal } from '../refusal.ts';

export interface EnrolmentOptions {
  readonly issuer: Issuer;
  readonly trust: () => Promise<Trust>;
  /** Ending of an agent certificate's name that is not part of the host name. */
  readonly hostnameSuffix: string;
  readonly certificateMs: number;
  /**
   * How much earlier than now a certificate begins. Clocks differ; and a certificate that is renewed between a
   * revocation and the poll that brings it must still be one from before it.
   */
  readonly backdateMs: number;
}

type Deps = Pick<ApiDeps, 'submit' | 'pool' | 'clock' | 'log' | 'metrics' | 'limits'>;

/** A request has a dozen. Anybody may send one, and canonicalising what its token holds takes time. */
const MOST_VALUES = 200;
const MOST_TOKEN_BYTES = 16 * 1_024;
/** Refusals that are remembered as told: of as many tokens as a busy day has. */
const MOST_TOLD = 1_000;
/** A signer that fails is looked at by people. */
const SIGNER_RETRY_SECS = 30;
const UNDECIDED_RETRY_SECS = 2;
/** The first poll of a new installation is a matter of seconds. */
const UNLISTED_RETRY_SECS = 5;

export class Enrolment {
  private readonly deps: Deps;
  private readonly options: EnrolmentOptions;
  private readonly told = new Set<string>();

  constructor(deps: Deps, options: EnrolmentOptions) {
    this.deps = deps;
    this.options = options;
  }

  async enrol(body: Uint8Array): Promise<CertificateAnswer> {
    const parsed = parseStrict(body, MOST_VALUES);
    if (!parsed.ok) throw new Refusal('malformed', `the body is no strict JSON: ${parsed.detail}`);
    if (!isObject(parsed.value) || typeof parsed.value.csrPem !== 'string')
      throw new Refusal('malformed', 'send {"token": {…}, "csrPem": "…"}');
    const { token, csrPem } = parsed.value;
    if (body.length - csrPem.length > MOST_TOKEN_BYTES)
      throw new Refusal('malformed', `no token has more than ${String(MOST_TOKEN_BYTES)} bytes`);
    const now = this.deps.clock.now();
    const trust = await this.ofAuthority(this.options.trust);
    const verified = verifyToken(token, trust, now);
    if (!verified.ok) {
      const refusal = new Refusal(verified.reason, verified.detail);
      throw verified.claims === undefined ? refusal : this.tell(refusal, verified.claims, '');
    }
    const { claims } = verified;
    const read = await readRequest(csrPem);
    if (!read.ok) throw this.tell(badRequest(read.detail), claims, '');
    const refusal = this.misfit(claims, read.value);
    if (refusal !== null) throw this.tell(refusal, claims, read.value.keyFingerprint);
    return this.burnAndSign(claims, read.value, now);
  }

  /** `current` is null where nobody proves anything: development. */
  async renew(
    hostname: string,
    current: OwnCertificate | null,
    csrPem: string,
  ): Promise<CertificateAnswer> {
    const read = await readRequest(csrPem);
    if (!read.ok) throw badRequest(read.detail);
    const request = read.value;
    const refusal = this.misnamed(hostname, request);
    if (refusal !== null) throw refusal;
    if (request.keyFingerprint === current?.keyFingerprint)
      throw new Refusal('key-reused', 'a new certificate needs a new key; make one and ask again');
    const now = this.deps.clock.now();
    // No earlier than the present one begins: a host that was revoked and has enrolled anew stays let in.
    const notBefore = Math.max(
      now - this.options.backdateMs,
      Math.min(now, current?.notBefore ?? 0),
    );
    const certificate = await this.plan(notBefore, now);
    const { hash: csrHash, keyFingerprint } = request;
    // Once it is in the queue it will be in the log: nobody has to decide anything.
    mustBeStored(
      await this.deps.submit(
        {
          ...{ kind: 'CertificateRenewed', hostname, csrHash, keyFingerprint, certificate },
          previousKeyFingerprint: current?.keyFingerprint ?? null,
        },
        { waitMs: 0 },
      ),
    );
    return this.sign(hostname, request, certificate);
  }

  private misfit(claims: TokenClaims, request: CertificateRequest): Refusal | null {
    if (request.keyFingerprint !== claims.expectedPubkeyFingerprint)
      return new Refusal(
        'fingerprint-mismatch',
        `the token is for another key; this request's has the fingerprint ${request.keyFingerprint}`,
      );
    return this.misnamed(claims.hostname, request);
  }

  private misnamed(hostname: string, { names }: CertificateRequest): Refusal | null {
    const own = [hostname, `${hostname}${this.options.hostnameSuffix}`];
    if (names.length > 0 && names.every((name) => own.includes(name))) return null;
    return badRequest(`it must name ${own[1] ?? hostname}, and nothing else`);
  }

  private async burnAndSign(
    claims: TokenClaims,
    request: CertificateRequest,
    now: number,
  ): Promise<CertificateAnswer> {
    const { hostname, nonce } = claims;
    const { hash: csrHash, keyFingerprint } = request;
    const { log, pool } = this.deps;
    const [isListed, entries, revokedBefore] = await fromDatabase(log, () =>
      pool.run((sql) =>
        Promise.all([hasNonces(sql), readNonce(sql, nonce), readRevokedBefore(sql, hostname)]),
      ),
    );
    if (!isListed)
      throw new Refusal('not-ready', 'no signed bootstrap-nonces.json has been verified yet', {
        ...{ retryAfterSecs: UNLISTED_RETRY_SECS, why: 'nonces' },
      });
    const entry = admitting(entries, hostname, now);
    if (entry instanceof Refusal) throw this.tell(entry, claims, keyFingerprint);
    const certificate = await this.plan(this.beginning(now, revokedBefore), now);
    const submitted = await this.deps.submit(
      {
        ...{ kind: 'EnrolmentRequested', hostname, nonce, csrHash, keyFingerprint, certificate },
        tokenExpiresAt: new Date(claims.expiresAt).toISOString(),
        nonceExpiresAt: entry.expiresAt,
      },
      { waitMs: this.deps.limits.verdictWaitMs },
    );
    mustBeGranted(submitted);
    const burnt = await fromDatabase(log, () => pool.run((sql) => readBurnt(sql, nonce)));
    // Committed a moment ago; a standby that lags, or a restore, is no reason to sign something else.
    if (burnt?.csrHash !== csrHash) throw notAccepted('undecided', UNDECIDED_RETRY_SECS);
    return this.sign(hostname, request, burnt);
  }

  /** After every revocation of the host that there was: whoever revoked it has let it in again. */
  private beginning(now: number, revokedBefore: string | null): number {
    const revoked = revokedBefore === null ? 0 : Date.parse(revokedBefore);
    if (revoked <= now) return Math.max(now - this.options.backdateMs, revoked);
    throw new Refusal(
      'revoked',
      `this host is revoked until ${revokedBefore ?? ''}; enrol it then`,
    );
  }

  private async plan(notBefore: number, now: number): Promise<PlannedCertificate> {
    const { issuer, certificateMs } = this.options;
    const endsAt = await this.ofAuthority(() => issuer.endsAt());
    if (endsAt <= now)
      throw this.failed(new AuthorityError('the certificate in MUSTER_CA_CERT_FILE has expired'));
    return {
      serial: newSerial(),
      notBefore: wholeSeconds(notBefore, 'up'),
      notAfter: wholeSeconds(Math.min(now + certificateMs, endsAt), 'down'),
    };
  }

  private async sign(
    hostname: string,
    { spki }: CertificateRequest,
    { serial, notBefore, notAfter }: PlannedCertificate,
  ): Promise<CertificateAnswer> {
    const name = `${hostname}${this.options.hostnameSuffix}`;
    const order: Order = { name, spki, serial, notBefore, notAfter };
    const certPem = await this.ofAuthority(() => this.options.issuer.issue(order));
    this.deps.log.info({ hostname, serial, notAfter }, 'a certificate was issued');
    return { certPem, notAfter };
  }

  private async ofAuthority<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof SignerError || error instanceof AuthorityError
        ? this.failed(error)
        : error;
    }
  }

  private failed({ message }: Error): Refusal {
    this.deps.log.error({ problem: message }, 'no certificate can be issued');
    return new Refusal('not-ready', 'no certificate can be issued now; its log says more', {
      ...{ retryAfterSecs: SIGNER_RETRY_SECS, why: 'signer' },
    });
  }

  /** The refusal, told to the log once for its nonce and reason. */
  private tell(
    refusal: Refusal,
    { hostname, nonce }: TokenClaims,
    keyFingerprint: string,
  ): Refusal {
    const { code, message: detail } = refusal;
    const key = createHash('sha256')
      .update(JSON.stringify([nonce, code]))
      .digest('base64');
    if (this.told.has(key)) return refusal;
    const [oldest] = this.told;
    if (this.told.size >= MOST_TOLD && oldest !== undefined) this.told.delete(oldest);
    this.told.add(key);
    this.deps.log.warn({ hostname, code, detail }, 'a signed bootstrap token was refused');
    void this.deps.submit(
      { kind: 'EnrolmentRefused', hostname, nonce, keyFingerprint, code, detail },
      { waitMs: 0 },
    );
    return refusal;
  }
}

function badRequest(detail: string): Refusal {
  return new Refusal('bad-csr', `the certificate request is refused: ${detail}`);
}

/** The entry that lets this host in, or why none does. */
function admitting(
  entries: readonly ListedNonce[],
  hostname: string,
  now: number,
): ListedNonce | Refusal {
  const [any] = entries;
  if (any === undefined)
    return new Refusal(
      'nonce-unknown',
      'the nonce is not on the signed list bootstrap-nonces.json',
    );
  const own = entries.filter((entry) => entry.hostname === null || entry.hostname === hostname);
  if (own.length === 0)
    return new Refusal('nonce-unknown', 'the nonce is on the signed list for another host');
  const entry = own.find(({ expiresAt }) => Date.parse(expiresAt) > now);
  if (entry !== undefined) return entry;
  return new Refusal(
    'token-expired',
    'the nonce has expired on the signed list; ask for a new token',
  );
}

function mustBeStored(submitted: Submitted): void {
  if (submitted.status === 'unavailable')
    throw notAccepted(submitted.why, submitted.retryAfterSecs);
  if (submitted.status === 'invalid')
    throw new Error(`the database cannot store it: ${submitted.detail}`);
}

function mustBeGranted(submitted: Submitted): void {
  mustBeStored(submitted);
  if (submitted.status !== 'judged') throw notAccepted('undecided', UNDECIDED_RETRY_SECS);
  const { verdict } = submitted;
  if (verdict.status === 'refused') {
    throw new Refusal(problemCode(verdict.code), verdict.detail);
  }
}

function wholeSeconds(ms: number, way: 'up' | 'down'): string {
  const round = way === 'up' ? Math.ceil : Math.floor;
  return new Date(round(ms / 1_000) * 1_000).toISOString();
}
