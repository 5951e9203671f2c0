/**
 * A host's life with certificates, over real TLS: our own agent's code enrols with a token, is heard under the
 * certificate that it was given, renews with a new key, and cannot have one for a key that it has.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock as agentClock } from '../../src/agent/clock.ts';
import {
  enrol,
  keepRenewed,
  loadIdentity,
  pendingRequest,
  renewalDue,
  type AgentIdentity,
} from '../../src/agent/credentials.ts';
import {
  connect,
  disconnect,
  httpCarrier,
  type Carrier,
} from '../../src/agent/http-control-plane.ts';
import { createIssuer } from '../../src/ca/issue.ts';
import { keyFileSigner } from '../../src/ca/key-file.ts';
import { writePair } from '../support/certificates.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica as startQueue, type Replica as Queue } from '../support/installation.ts';
import { makeScratchDir } from '../support/scratch.ts';
import {
  HOUR,
  newRequest,
  organisation,
  putList,
  putNonces,
  type Organisation,
} from './support/enrolment.ts';
import { eventually } from '../support/eventually.ts';
import { makePki, startTlsReplica, SUFFIX, type Pki, type TlsReplica } from './support/tls.ts';

let queue: Queue;
let pki: Pki;
let org: Organisation;
let replica: TlsReplica;
const open: ReturnType<typeof connect>[] = [];

beforeAll(async () => {
  const { url } = await createTestDatabase();
  queue = startQueue(url, 'queue');
  await queue.lead();
  pki = await makePki();
  const files = writePair(makeScratchDir('fleet-ca'), 'fleet', pki.fleet);
  org = await organisation(createIssuer(files.cert, keyFileSigner(files.key)));
  replica = await startTlsReplica(
    url,
    pki,
    {},
    {},
    {
      enrolment: { ...org.options, hostnameSuffix: SUFFIX },
    },
  );
  replica.answerWith((input, options) => queue.submitter.submit(input, options));
});
afterAll(async () => {
  for (const connections of open) disconnect(connections);
  await replica.stop();
  await queue.stop();
});

const quiet = { info: () => undefined, warn: () => undefined };
const signal = new AbortController().signal;

function carrier(identity: AgentIdentity | null): Carrier {
  const proof = identity === null ? {} : { cert: identity.pem, key: identity.pem };
  const connections = connect(
    `https://127.0.0.1:${String(replica.port)}`,
    { hosts: 1, requests: 1 },
    { ca: pki.servers.cert, ...proof },
  );
  open.push(connections);
  return httpCarrier(connections, {});
}

async function heard(identity: AgentIdentity): Promise<number> {
  const body = { hostname: 'web-01', at: new Date().toISOString() };
  const reply = await carrier(identity).short(
    { method: 'POST', path: '/v1/agent/heartbeat', body },
    signal,
  );
  return reply.kind === 'reply' ? reply.status : 0;
}

/** Half of a life passes at once. */
async function renewedFrom(
  parts: Parameters<typeof enrol>[0],
  identity: AgentIdentity,
): Promise<AgentIdentity> {
  const stop = new AbortController();
  const changed: AgentIdentity[] = [];
  const clock = { now: () => identity.notAfter - 1, sleep: () => Promise.resolve() };
  const take = (next: AgentIdentity): void => {
    changed.push(next);
    stop.abort();
  };
  await keepRenewed({ ...parts, clock }, identity, carrier(identity), take, stop.signal);
  const [next] = changed;
  if (next === undefined) throw new Error('not renewed');
  return next;
}

it('is enrolled, heard, renewed, and has a new key each time', async () => {
  const dir = path.join(makeScratchDir('agent'), 'credentials');
  const name = `web-01${SUFFIX}`;
  const own = { dir, name, clock: agentClock, random: Math.random, log: quiet };
  const first = await pendingRequest(own);
  await putNonces(queue.pool, [{ nonce: 'n1', hostname: 'web-01' }]);
  const parts = { ...own, token: org.token(first) };

  const enrolled = await enrol(parts, carrier(null), signal);
  if (enrolled === null) throw new Error('not enrolled');
  expect(await heard(enrolled)).toBe(200);
  expect(await loadIdentity(parts)).toEqual(enrolled);
  expect(readdirSync(dir)).toEqual(['identity.pem']);
  expect(statSync(path.join(dir, 'identity.pem')).mode & 0o777).toBe(0o600);
  // The test's authority ends within a day, and what it issues with it.
  const life = enrolled.notAfter - enrolled.notBefore;
  const due = renewalDue(enrolled, enrolled.notBefore, () => 0.5);
  expect(life).toBeLessThan(25 * HOUR);
  expect(due / life).toBeCloseTo(0.55);

  // The present key is no new one, whoever asks so nicely.
  const again = await carrier(enrolled).short(
    { method: 'POST', path: '/v1/agent/renew', body: { csrPem: first.csrPem } },
    signal,
  );
  expect(again.kind === 'reply' ? [again.status, again.body.toString()] : again).toEqual([
    409,
    expect.stringContaining('key-reused'),
  ]);

  const renewed = await renewedFrom(parts, enrolled);
  expect(renewed.pem).not.toBe(enrolled.pem);
  expect(await heard(renewed)).toBe(200);
  expect(await loadIdentity(parts)).toEqual(renewed);
  // It proves itself by a certificate, so it cannot enrol as somebody else: the name is not the body's.
  const other = await pendingRequest({ dir: path.join(dir, 'other'), name: `web-02${SUFFIX}` });
  const stolen = await carrier(renewed).short(
    { method: 'POST', path: '/v1/agent/renew', body: { csrPem: other.csrPem } },
    signal,
  );
  expect(stolen.kind === 'reply' ? stolen.status : stolen).toBe(400);
});

it('is given no certificate by renewing once it is revoked, nor keeps one of just before', async () => {
  const hostname = 'gone-01';
  const name = `${hostname}${SUFFIX}`;
  const ask = (path: string, own: object, body: object) =>
    replica
      .client({ cert: '', key: '', ...own })
      .ask(path, { method: 'POST', body })
      .then(({ status }) => status);
  const renew = async (own: object) => {
    const { csrPem, keyPem } = await newRequest(name);
    const client = replica.client({ cert: '', key: '', ...own });
    const { status, body } = await client.ask('/v1/agent/renew', {
      method: 'POST',
      body: { csrPem },
    });
    const cert = (body as { certPem?: string }).certPem ?? '';
    return { status, own: { cert, key: keyPem } };
  };
  const beat = { hostname, at: new Date().toISOString() };
  const stolen = await pki.fleet.issue({ cn: name, notBefore: new Date(Date.now() - HOUR) });
  const kept = await renew(stolen);
  expect([kept.status, await ask('/v1/agent/heartbeat', kept.own, beat)]).toEqual([200, 200]);

  // Signed a moment ago, and not polled yet when the thief renewed: what he was given began before it.
  const notBefore = new Date(Date.now() - 60_000).toISOString();
  await putList(queue.pool, 'revocations', { revocations: [{ hostname, notBefore }] });
  replica.wake();
  await eventually(() => ask('/v1/agent/heartbeat', stolen, beat)).toBe(401);
  expect(await ask('/v1/agent/heartbeat', kept.own, beat)).toBe(401);
  expect((await renew(stolen)).status).toBe(401);
  expect((await renew(kept.own)).status).toBe(401);
  const rows = await queue.pool.run(
    (sql) => sql`SELECT FROM event_log WHERE kind = 'enrolment' AND hostname = ${hostname}`,
  );
  expect(rows).toHaveLength(1);
});

it('cannot keep the control plane busy with what is no token', async () => {
  const deep = `${'['.repeat(60)}${']'.repeat(60)}`;
  const half = { version: 1, signature: 'AA' };
  const nested = {
    ...half,
    claims: { a: JSON.parse(`[${Array(8_000).fill(deep).join(',')}]`) as unknown },
  };
  const long = { ...half, claims: { a: 'x'.repeat(20_000) } };
  const stranger = replica.client(null);
  for (const [token, why] of [
    [nested, /more than 200 values/],
    [long, /no token has more than/],
  ] as const) {
    const body = { token, csrPem: '' };
    const answer = await stranger.ask('/v1/enroll', { method: 'POST', body });
    expect(answer).toMatchObject({ status: 400, code: 'malformed' });
    expect(answer.detail).toMatch(why);
  }
});
