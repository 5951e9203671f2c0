/**
 * Enrolment and renewal over HTTP: two replicas and a real leader between them. Who gets a certificate, who does
 * not and why, and that a nonce is burnt once, whoever asks where.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SignerError } from '../../src/ca/signer.ts';
import { systemClock } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica as startQueue, type Replica as Queue } from '../support/installation.ts';
import {
  HOUR,
  newRequest,
  organisation,
  putList,
  putNonces,
  SUFFIX,
  type Organisation,
} from './support/enrolment.ts';
import { APPLIED, startReplica, type Replica } from './support/fakes.ts';

let queue: Queue;
let org: Organisation;
let one: Replica;
let two: Replica;
/** Far enough ahead that no rate stands in the way of a test. */
let ahead = 0;
const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };

beforeAll(async () => {
  const { url } = await createTestDatabase();
  queue = startQueue(url, 'queue');
  await queue.lead();
  org = await organisation();
  one = await startReplica(url, {}, {}, { enrolment: org.options, clock });
  two = await startReplica(url, {}, {}, { enrolment: org.options, clock });
  for (const replica of [one, two])
    replica.answerWith((input, options) => queue.submitter.submit(input, options));
});
beforeEach(() => {
  ahead += 10 * HOUR;
});
afterAll(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await queue.stop();
});

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly certPem: string;
  readonly notAfter: string;
  readonly detail: string;
}

async function post(
  replica: Replica,
  url: string,
  payload: string | object,
  as?: string,
): Promise<Answer> {
  const answer = await replica.api.app.inject({
    ...{ method: 'POST', url, payload },
    headers: {
      'content-type': 'application/json',
      ...(as === undefined ? {} : { 'x-muster-dev-identity': as }),
    },
  });
  return { status: answer.statusCode, ...answer.json<Omit<Answer, 'status'>>() };
}

const enrol = (payload: string | object, replica = one) => post(replica, '/v1/enroll', payload);

/** Of this nonce, once everything that was submitted until now is judged. */
async function logged(
  nonce: string,
): Promise<{ event: string; code: string | null; actor: string }[]> {
  await judged();
  return queue.pool.run(
    (sql) => sql<{ event: string; code: string | null; actor: string }[]>`
      SELECT payload->>'event' AS event, payload->>'code' AS code, actor FROM event_log
      WHERE kind = 'enrolment' AND payload->>'nonce' = ${nonce} ORDER BY seq`,
  );
}

async function judged(): Promise<void> {
  await queue.submitter.submit({ kind: 'Tick' }, { waitMs: 10_000 });
}

let count = 0;
/** A nonce of its own for each test, and what is on the list beside it. */
async function listed(more: object = {}): Promise<string> {
  count += 1;
  const nonce = `nonce-${String(count)}`;
  await putNonces(queue.pool, [{ nonce, ...more }]);
  return nonce;
}

describe('a host with a token', () => {
  it('is given one certificate, which says what we say', async () => {
    const nonce = await listed({ hostname: 'web-01' });
    const request = await newRequest();
    const answer = await enrol({ token: org.token(request, { nonce }), csrPem: request.csrPem });
    expect(answer).toMatchObject({ status: 200 });
    const certificate = new X509Certificate(answer.certPem);
    const authority = new X509Certificate(readFileSync(org.certFile));
    expect(certificate.checkIssued(authority) && certificate.verify(authority.publicKey)).toBe(
      true,
    );
    expect(certificate).toMatchObject({
      ...{ subject: `CN=web-01${SUFFIX}`, subjectAltName: `DNS:web-01${SUFFIX}`, ca: false },
      keyUsage: ['1.3.6.1.5.5.7.3.2'],
    });
    expect(new Date(certificate.validTo).toISOString()).toBe(answer.notAfter);
    expect(Date.parse(certificate.validFrom)).toBeLessThan(Date.now() - 290_000);
    expect(await logged(nonce)).toEqual([
      { event: 'EnrolmentRequested', code: null, actor: 'web-01' },
    ]);
  });

  it('collects the same certificate again, from another replica, with one burn', async () => {
    const nonce = await listed();
    const request = await newRequest('web-01');
    const body = { token: org.token(request, { nonce }), csrPem: request.csrPem };
    const [a, b] = [await enrol(body), await enrol(body, two)];
    expect([a.status, b.status]).toEqual([200, 200]);
    const [first, again] = [new X509Certificate(a.certPem), new X509Certificate(b.certPem)];
    expect(again.serialNumber).toBe(first.serialNumber);
    expect(again.validTo).toBe(first.validTo);
    expect(await logged(nonce)).toHaveLength(1);
  });

  it('cannot use its nonce for another request', async () => {
    const nonce = await listed();
    const [first, second] = [await newRequest(), await newRequest()];
    const body = (request: typeof first) => ({
      token: org.token(request, { nonce }),
      csrPem: request.csrPem,
    });
    expect(await enrol(body(first))).toMatchObject({ status: 200 });
    expect(await enrol(body(second), two)).toMatchObject({ status: 409, code: 'nonce-used' });
    expect(await logged(nonce)).toMatchObject([{ code: null }, { code: 'nonce-used' }]);
  });

  it('burns it once when two replicas race', async () => {
    const nonce = await listed();
    const requests = await Promise.all([newRequest(), newRequest(), newRequest(), newRequest()]);
    const answers = await Promise.all(
      requests.map((request, i) =>
        enrol(
          { token: org.token(request, { nonce }), csrPem: request.csrPem },
          i % 2 === 0 ? one : two,
        ),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  it('races itself and is given one certificate', async () => {
    const nonce = await listed();
    const request = await newRequest();
    const body = { token: org.token(request, { nonce }), csrPem: request.csrPem };
    const answers = await Promise.all([
      enrol(body),
      enrol(body, two),
      enrol(body),
      enrol(body, two),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const serials = answers.map(({ certPem }) => new X509Certificate(certPem).serialNumber);
    expect(new Set(serials).size).toBe(1);
  });

  it('asks again when nobody leads, and is given it then', async () => {
    const nonce = await listed();
    const request = await newRequest();
    const body = { token: org.token(request, { nonce }), csrPem: request.csrPem };
    await queue.resign();
    expect(await enrol(body)).toMatchObject({ status: 503, code: 'not-accepted' });
    await queue.lead();
    expect(await enrol(body, two)).toMatchObject({ status: 200 });
    expect(await logged(nonce)).toHaveLength(1);
  });

  it('is let in again after it was revoked, by a certificate from after that', async () => {
    const nonce = await listed({ hostname: 'gone-01' });
    const notBefore = new Date(Date.now() - 60_000).toISOString();
    await putList(queue.pool, 'revocations', { revocations: [{ hostname: 'gone-01', notBefore }] });
    const request = await newRequest('gone-01');
    const token = org.token(request, { nonce, hostname: 'gone-01' });
    const { certPem } = await enrol({ token, csrPem: request.csrPem });
    const { validFrom } = new X509Certificate(certPem);
    expect(Date.parse(validFrom)).toBeGreaterThanOrEqual(Date.parse(notBefore));
  });
});

describe('nobody is given a certificate', () => {
  it('before a list was verified: 503, come again', async () => {
    const [nonce, request] = [await listed(), await newRequest()];
    await queue.pool.run((sql) => sql`DELETE FROM artifact WHERE kind = 'nonces'`);
    const enrolment = { token: org.token(request, { nonce }), csrPem: request.csrPem };
    expect(await enrol(enrolment)).toMatchObject({ status: 503, code: 'not-ready' });
  });

  it.each<[string, object, number, string]>([
    ['with a token that expired', { expiresAt: '2026-01-01T00:00:00Z' }, 401, 'token-expired'],
    ['with a token of tomorrow', { issuedAt: '2999-01-01T00:00:00Z' }, 401, 'bad-token'],
    ['for another key', { expectedPubkeyFingerprint: 'AAAA' }, 403, 'fingerprint-mismatch'],
    ['with a nonce that is on no list', { nonce: 'never-listed' }, 403, 'nonce-unknown'],
    ['for a host the request does not name', { hostname: 'web-02' }, 400, 'bad-csr'],
  ])('%s', async (_, claims, status, code) => {
    const nonce = await listed();
    const request = await newRequest();
    const token = org.token(request, { nonce, ...claims });
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({ status, code });
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({ status, code });
    const told = 'nonce' in claims ? 'never-listed' : nonce;
    expect(await logged(told)).toEqual([
      { event: 'EnrolmentRefused', code, actor: expect.any(String) as unknown },
    ]);
  });

  it.each<[string, object, string]>([
    ['listed for another host', { hostname: 'db-01' }, 'nonce-unknown'],
    ['listed and expired', { expiresAt: '2026-01-01T00:00:00.000Z' }, 'token-expired'],
  ])('by a nonce %s', async (_, entry, code) => {
    const nonce = await listed(entry);
    const request = await newRequest();
    const token = org.token(request, { nonce });
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({ code });
  });

  it('by a list from before the kill switch', async () => {
    const nonce = await listed();
    const request = await newRequest();
    const token = org.token(request, { nonce });
    const at = new Date().toISOString();
    const set = (rejectBefore: string | null) =>
      queue.submitter.submit({ kind: 'TrustChanged', rejectBefore }, { waitMs: 5_000 });
    await set(at);
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({ code: 'nonce-unknown' });
    await set(null);
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({ status: 200 });
  });

  it('while the host is revoked', async () => {
    const nonce = await listed();
    const notBefore = new Date(Date.now() + HOUR).toISOString();
    await putList(queue.pool, 'revocations', { revocations: [{ hostname: 'web-01', notBefore }] });
    const request = await newRequest();
    const token = org.token(request, { nonce });
    expect(await enrol({ token, csrPem: request.csrPem })).toMatchObject({
      status: 403,
      code: 'revoked',
    });
    await putList(queue.pool, 'revocations', { revocations: [] });
  });

  it.each<[string, string, number, string]>([
    ['an empty body', '', 400, 'malformed'],
    ['no JSON', '{"token"', 400, 'malformed'],
    ['a list', '[]', 400, 'malformed'],
    ['a number for a request', '{"token":{},"csrPem":1}', 400, 'malformed'],
    ['no token', '{"csrPem":"x"}', 401, 'bad-token'],
    ['two tokens', '{"token":{},"token":{},"csrPem":"x"}', 400, 'malformed'],
    ['a body that nests deep', `{"csrPem":"x","token":${'['.repeat(100_000)}`, 400, 'malformed'],
    ['more than a megabyte', JSON.stringify({ csrPem: 'x'.repeat(1_100_000) }), 413, 'too-large'],
  ])('for %s', async (_, body, status, code) => {
    expect(await enrol(body)).toMatchObject({ status, code });
  });

  it('by a stranger’s token, and the log does not fill with it', async () => {
    const other = await organisation();
    const nonce = await listed();
    const request = await newRequest();
    const body = { token: other.token(request, { nonce }), csrPem: request.csrPem };
    expect(await enrol(body)).toMatchObject({ status: 401, code: 'bad-token' });
    expect(await logged(nonce)).toEqual([]);
  });

  it('faster than strangers may ask', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => enrol('{}')));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(5);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(8);
  });
});

describe('a rotated root', () => {
  it('is believed with the next token, and a broken file changes nothing', async () => {
    const before = readFileSync(org.trustFile);
    const nonce = await listed();
    const request = await newRequest();
    const body = { token: org.token(request, { nonce }), csrPem: request.csrPem };
    const other = await organisation();
    writeFileSync(org.trustFile, readFileSync(other.trustFile));
    expect(await enrol(body)).toMatchObject({ code: 'bad-token' });
    writeFileSync(org.trustFile, before);
    expect(await enrol(body)).toMatchObject({ status: 200 });
    writeFileSync(org.trustFile, '{');
    expect(await enrol(body)).toMatchObject({ status: 200 });
    writeFileSync(org.trustFile, before);
  });
});

describe('a signer that fails', () => {
  it('is 503, and the same request collects once it works', async () => {
    let broken = true;
    const own = await organisation({
      issue: () => Promise.reject(new SignerError('no token in the slot')),
      endsAt: () => Promise.resolve(Date.now() + HOUR),
    });
    const issuer = {
      ...own.options.issuer,
      issue: (order: Parameters<typeof org.options.issuer.issue>[0]) =>
        broken ? own.options.issuer.issue(order) : org.options.issuer.issue(order),
    };
    const { url } = await createTestDatabase();
    const q = startQueue(url, 'other');
    await q.lead();
    const replica = await startReplica(url, {}, {}, { enrolment: { ...own.options, issuer } });
    replica.answerWith((input, options) => q.submitter.submit(input, options));
    await putNonces(q.pool, [{ nonce: 'n1' }]);
    const request = await newRequest();
    const body = { token: own.token(request), csrPem: request.csrPem };
    const refused = await enrol(body, replica);
    expect(refused).toMatchObject({ status: 503, code: 'not-ready' });
    expect(refused.detail).not.toContain('slot');
    broken = false;
    expect(await enrol(body, replica)).toMatchObject({ status: 200 });
    await replica.stop();
    await q.stop();
  });
});

describe('renewal', () => {
  const renew = (csrPem: string, as = 'agent:web-01') =>
    post(one, '/v1/agent/renew', { csrPem }, as);

  it('gives a certificate for a new key, which the log names before it exists', async () => {
    const { csrPem, keyFingerprint } = await newRequest();
    const answer = await renew(csrPem);
    expect(answer).toMatchObject({ status: 200 });
    const { serialNumber } = new X509Certificate(answer.certPem);
    await judged();
    const [row] = await queue.pool.run(
      (sql) => sql<{ serial: string; hostname: string }[]>`
        SELECT payload->'certificate'->>'serial' AS serial, hostname FROM event_log
        WHERE kind = 'enrolment' AND payload->>'keyFingerprint' = ${keyFingerprint}`,
    );
    expect([row?.serial.toUpperCase(), row?.hostname]).toEqual([serialNumber, 'web-01']);
  });

  it('is refused for another host, a bad request, and without an identity', async () => {
    const { csrPem } = await newRequest('db-01');
    expect(await renew(csrPem)).toMatchObject({ status: 400, code: 'bad-csr' });
    expect(await renew('x')).toMatchObject({ status: 400, code: 'bad-csr' });
    expect(await post(one, '/v1/agent/renew', { csrPem })).toMatchObject({ status: 401 });
    expect(await renew(csrPem, 'operator:ada')).toMatchObject({ status: 403 });
  });

  it('is not signed when nothing was stored', async () => {
    one.answerWith(() =>
      Promise.resolve({ status: 'unavailable', why: 'queue-full', retryAfterSecs: 3 }),
    );
    const { csrPem } = await newRequest();
    expect(await renew(csrPem)).toMatchObject({ status: 503 });
    one.answerWith(() => Promise.resolve(APPLIED));
  });

  it('is not for every minute', async () => {
    const { csrPem } = await newRequest('busy-01');
    const answers: number[] = [];
    for (let i = 0; i < 7; i += 1) answers.push((await renew(csrPem, 'agent:busy-01')).status);
    expect(answers).toEqual([200, 200, 200, 200, 200, 503, 503]);
  });
});

describe('where nothing is configured', () => {
  it('is 501, which says what to set', async () => {
    const { url } = await createTestDatabase();
    const bare = await startReplica(url);
    const { csrPem } = await newRequest();
    expect(await enrol({ token: {}, csrPem }, bare)).toMatchObject({
      status: 501,
      code: 'not-configured',
    });
    expect(await post(bare, '/v1/agent/renew', { csrPem }, 'agent:web-01')).toMatchObject({
      status: 501,
    });
    const closure = await bare.api.app.inject({
      url: `/v1/agent/closure/${'a'.repeat(32)}`,
      headers: { 'x-muster-dev-identity': 'agent:web-01' },
    });
    expect(closure.statusCode).toBe(501);
    await bare.stop();
  });
});
