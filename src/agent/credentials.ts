/**
 * The agent's own certificate: it makes its key, enrols with a bootstrap token, and renews with a new key from half
 * of the certificate's life on. The key never leaves the host.
 *
 * Two files, each replaced whole and readable by their owner only. `pending.json` holds a key and the request made
 * with it, written before anybody is asked: after a crash, or an answer that got lost, the same request collects
 * the same certificate. `identity.pem` holds key and certificate together, so that they always fit.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeRequest, type NewRequest } from '../trust/request.ts';
import { readObject, textOf } from './answers.ts';
import { ended, jittered, retryDelay, type Clock, type Random } from './clock.ts';
import type { Trouble } from './control-plane.ts';
import { makeFolder, readIfThere, syncFolder } from './files.ts';
import type { AgentLog } from './hooks.ts';
import { problemOf, type Carrier, type Reply } from './http-control-plane.ts';

/** Key and certificate in one PEM text: Node takes it as both `key` and `cert`. */
export interface AgentIdentity {
  readonly pem: string;
  /** ms since the epoch */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CredentialParts {
  /** Folder of the two files. */
  readonly dir: string;
  /** What the certificate is to name, suffix included. */
  readonly name: string;
  /** The bootstrap token, JSON; null where the host is enrolled already. */
  readonly token: unknown;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
}

/** A list that lets this host in may be signed and under way: two polls of the control plane. */
const FIRST_REFUSED_RETRY_MS = 60_000;
/** Refused again and again: people have to look. A day has 24 of these. */
const REFUSED_RETRY_MS = 3_600_000;

/** The identity on disk; null when there is none, or none that is still valid. */
export async function loadIdentity({
  dir,
  clock,
}: Pick<CredentialParts, 'dir' | 'clock'>): Promise<AgentIdentity | null> {
  const pem = await readIfThere(join(dir, IDENTITY));
  if (pem === null) return null;
  const identity = identityOf(pem);
  return identity.notAfter > clock.now() ? identity : null;
}

/** The key that a token is made out for: made now, or the one that waits already. */
export async function pendingRequest({
  dir,
  name,
}: Pick<CredentialParts, 'dir' | 'name'>): Promise<NewRequest> {
  const waiting = readObject((await readIfThere(join(dir, PENDING))) ?? '');
  const [csrPem, keyPem, keyFingerprint] = ['csrPem', 'keyPem', 'keyFingerprint'].map((part) =>
    textOf(waiting?.[part]),
  );
  if (csrPem && keyPem && keyFingerprint) return { csrPem, keyPem, keyFingerprint };
  const request = await makeRequest(name);
  await makeFolder(dir, 0o700);
  await replace(join(dir, PENDING), JSON.stringify(request));
  return request;
}

/** Enrols, trying until it succeeds; null when `signal` aborts. */
export function enrol(
  parts: CredentialParts,
  carrier: Carrier,
  signal: AbortSignal,
): Promise<AgentIdentity | null> {
  return obtain(parts, signal, ({ csrPem }) =>
    carrier.short(
      { method: 'POST', path: '/v1/enroll', body: { token: parts.token, csrPem } },
      signal,
    ),
  );
}

/** Renews once; trying until it succeeds. `carrier` proves the present identity. */
function renew(
  parts: CredentialParts,
  carrier: Carrier,
  signal: AbortSignal,
): Promise<AgentIdentity | null> {
  return obtain(parts, signal, ({ csrPem }) =>
    carrier.short({ method: 'POST', path: '/v1/agent/renew', body: { csrPem } }, signal),
  );
}

/** How long until half of its life is over: spread over a tenth of it, so that a fleet does not come at once. */
export function renewalDue({ notBefore, notAfter }: AgentIdentity, now: number, random: Random) {
  const life = notAfter - notBefore;
  return Math.max(0, notBefore + life * (0.5 + 0.1 * random()) - now);
}

/**
 * Keeps the identity renewed until `signal` aborts. `carrier` proves the identity in force, and `onChange` makes it
 * prove the new one from then on.
 */
export async function keepRenewed(
  parts: CredentialParts,
  first: AgentIdentity,
  carrier: Carrier,
  onChange: (identity: AgentIdentity) => void,
  signal: AbortSignal,
): Promise<void> {
  let identity = first;
  while (!ended(signal)) {
    await untilDue(parts, identity, signal);
    if (ended(signal)) return;
    const next = await renew(parts, carrier, signal);
    if (next === null) return;
    identity = next;
    onChange(identity);
  }
}

/** In several turns, if need be: no timer lasts longer than 24 days. */
async function untilDue(
  { clock, random }: CredentialParts,
  identity: AgentIdentity,
  signal: AbortSignal,
): Promise<void> {
  const dueAt = clock.now() + renewalDue(identity, clock.now(), random);
  do await clock.sleep(dueAt - clock.now(), signal);
  while (clock.now() < dueAt && !ended(signal));
}

async function obtain(
  parts: CredentialParts,
  signal: AbortSignal,
  ask: (request: NewRequest) => Promise<Reply | Trouble>,
): Promise<AgentIdentity | null> {
  let refusals = 0;
  for (let attempt = 0; !ended(signal); attempt += 1) {
    const request = await pendingRequest(parts);
    const reply = await ask(request);
    if (ended(signal)) return null;
    const identity = reply.kind === 'reply' ? await take(parts, request, reply) : null;
    if (identity !== null) return identity;
    const isRefusal = reply.kind === 'reply' && reply.status >= 400 && reply.status < 500;
    refusals = isRefusal ? refusals + 1 : 0;
    await parts.clock.sleep(delayAfter(parts, reply, attempt, refusals), signal);
  }
  return null;
}

function delayAfter(
  { log, random }: CredentialParts,
  reply: Reply | Trouble,
  attempt: number,
  refusals: number,
): number {
  const { reason, retryAfterMs } = reply.kind === 'trouble' ? reply : problemOf(reply);
  if (refusals > 0) {
    log.warn({ reason }, 'no certificate is given to this host; asking again in an hour at most');
    return jittered(
      Math.min(REFUSED_RETRY_MS, FIRST_REFUSED_RETRY_MS * 2 ** (refusals - 1)),
      random,
    );
  }
  log.info({ reason, attempt }, 'no certificate yet; will ask again');
  return Math.max(retryDelay(attempt, random), retryAfterMs ?? 0);
}

/** The certificate of an answer, in force from now on; null when it holds none for this key. */
async function take(
  { dir, log }: CredentialParts,
  { keyPem }: NewRequest,
  reply: Reply,
): Promise<AgentIdentity | null> {
  if (reply.status !== 200) return null;
  const certPem = textOf(readObject(reply.body.toString('utf8'))?.['certPem']);
  if (certPem === null) return null;
  const pem = `${keyPem}${certPem}`;
  const identity = fitting(pem, keyPem);
  if (identity === null) {
    log.warn({}, 'the certificate is for another key, or cannot be read');
    return null;
  }
  await replace(join(dir, IDENTITY), pem);
  await rm(join(dir, PENDING), { force: true });
  return identity;
}

function fitting(pem: string, keyPem: string): AgentIdentity | null {
  try {
    const fits = new X509Certificate(pem.slice(keyPem.length)).checkPrivateKey(
      createPrivateKey(keyPem),
    );
    return fits ? identityOf(pem) : null;
  } catch {
    return null;
  }
}

function identityOf(pem: string): AgentIdentity {
  const { validFrom, validTo } = new X509Certificate(pem.slice(pem.indexOf(CERTIFICATE)));
  return { pem, notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) };
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const PENDING = 'pending.json';
const IDENTITY = 'identity.pem';

/** Whole or not at all, and on disk: a sibling first, then a rename. */
async function replace(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  await rm(fresh, { force: true });
  const handle = await open(fresh, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  await syncFolder(dirname(file));
}
