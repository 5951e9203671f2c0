/** The agent's endpoints as an agent sees them: over HTTP, with a leader that judges and a real database. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, until, type HttpServer } from '../support/http-server.ts';

const HOST = 'canary-01';
const TARGET = 'f5997fc1a987e048fd8eb42f06a113fb-nixos-system-canary-01';
const AGENT = { as: `agent:${HOST}` };
const GOOD = path.join(import.meta.dirname, '..', 'fixtures', 'good');
const AT = '2026-11-20T10:00:00Z';

let server: HttpServer;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  server = await startHttpServer(url, { MUSTER_REQUEST_TIMEOUT_SECONDS: '1' });
  await until(
    async () => (await server.call('GET', '/readyz')).status,
    (status) => status === 200,
  );
});
afterAll(async () => {
  expect(await server.stop()).toEqual([]);
});

const post = (event: object, extra: object = {}, headers: Record<string, string> = {}) =>
  server.call('POST', '/v1/agent/events', {
    ...AGENT,
    headers,
    body: { hostname: HOST, rolloutId: EDGE, event, ...extra },
  });
const postText = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
  server.call('POST', '/v1/agent/events', { ...AGENT, headers, body });
const ack = (seq: number) => ({
  kind: 'DispatchAck',
  seq,
  currentClosureAtDispatch: 'old',
  receivedAt: AT,
});
const heartbeat = (fields: object = {}) =>
  server.call('POST', '/v1/agent/heartbeat', {
    ...AGENT,
    body: { hostname: HOST, at: AT, current_closure: 'old', ...fields },
  });
const verdict = (response: Response) => response.headers.get('x-muster-verdict');
const codeOf = async (response: Response) => {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const body: unknown = await response.json();
  return body;
};

describe('a dispatch', () => {
  it('is offered to the long poll that waits for it, and not again for a while', async () => {
    expect((await heartbeat()).status).toBe(200);
    const offered = await server.call('GET', '/v1/agent/dispatch?wait=5', AGENT);
    expect(offered.status).toBe(200);
    expect(await offered.json()).toMatchObject({
      hostname: HOST,
      rollout_id: EDGE,
      target_closure: TARGET,
    });
    expect((await server.call('GET', '/v1/agent/dispatch?wait=0', AGENT)).status).toBe(204);
  });

  it('refuses a wait that is no number', async () => {
    const refused = await server.call('GET', '/v1/agent/dispatch?wait=soon', AGENT);
    expect(refused.status).toBe(400);
    expect(await codeOf(refused)).toMatchObject({ code: 'malformed' });
  });
});

describe('an event', () => {
  it('is applied once; a repeat is a duplicate, and both are 204', async () => {
    const first = await post(ack(1));
    expect([first.status, verdict(first)]).toEqual([204, null]);
    const again = await post(ack(1));
    expect([again.status, verdict(again)]).toEqual([204, null]);
  });

  it('that can never be applied is kept, and still 204 for an agent that knows no better', async () => {
    const refused = await post(ack(2));
    expect([refused.status, verdict(refused)]).toEqual([204, 'refused; code=illegal-transition']);
    const unknown = await post({ kind: 'Exploded', seq: 3 });
    expect([unknown.status, verdict(unknown)]).toEqual([204, 'refused; code=unknown-kind']);
    const malformed = await post({ kind: 'DispatchAck', seq: 'three' });
    expect([malformed.status, verdict(malformed)]).toEqual([204, 'refused; code=malformed']);
    const stranger = await post(ack(1), { rolloutId: 'edge@beef' });
    expect([stranger.status, verdict(stranger)]).toEqual([
      204,
      'refused; code=unknown-rollout-host',
    ]);
  });

  it('gets a problem instead when the agent prefers a verdict', async () => {
    const prefer = { prefer: 'verdict' };
    const refused = await post(ack(2), {}, prefer);
    expect(refused.status).toBe(409);
    expect(await codeOf(refused)).toMatchObject({
      code: 'illegal-transition',
      state: 'Activating',
      lastEventSeq: 1,
    });
    expect((await post({ kind: 'Exploded', seq: 3 }, {}, prefer)).status).toBe(400);
    const large = { ...ack(4), currentClosureAtDispatch: 'x'.repeat(300_000) };
    expect((await post(large, {}, prefer)).status).toBe(413);
  });

  it.each([
    ['no JSON', '{"hostname":', 'malformed'],
    ['no object', '[]', 'malformed'],
    ['an id that does not match', { rolloutId: '../etc/passwd' }, 'malformed'],
    ['nesting over 64', { deep: '['.repeat(70) + ']'.repeat(70) }, 'malformed'],
    ['a body over 256 KiB', { pad: `"${'x'.repeat(300_000)}"` }, 'too-large'],
  ])('with %s is kept as refused', async (_what, body, code) => {
    const text =
      typeof body === 'string'
        ? body
        : JSON.stringify({ hostname: HOST, rolloutId: EDGE, event: ack(9), ...body }).replace(
            /"(\[+\]+|\\"x+\\")"/,
            (_all, inner: string) => inner.replaceAll('\\"', '"'),
          );
    const response = await postText(text);
    expect([response.status, verdict(response)]).toEqual([204, `refused; code=${code}`]);
    const explained = await postText(text, { prefer: 'verdict' });
    const problem = await codeOf(explained);
    expect(problem).toMatchObject({ code });
    expect(JSON.stringify(problem)).not.toMatch(/ at .*\.ts|SELECT|INSERT/);
  });

  it('may hold NUL and lone surrogates in its texts: they are replaced, and its neighbours unharmed', async () => {
    const nasty = `{"hostname":"${HOST}","rolloutId":"${EDGE}","event":{"kind":"ActivationStarted","seq":2,"startedAt":"${AT}","switchMethod":"a\\u0000b\\ud800c"}}`;
    const response = await postText(nasty);
    expect([response.status, verdict(response)]).toEqual([204, null]);
  });

  it("of another host is 403, and nobody's is 401, before the queue", async () => {
    const other = await post(ack(3), { hostname: 'web-01' });
    expect(other.status).toBe(403);
    expect(await codeOf(other)).toMatchObject({ code: 'wrong-host' });
    for (const as of [null, 'agent:', 'root', 'agent:bad name', 'agent:../x']) {
      const response = await server.call('POST', '/v1/agent/events', { as, body: {} });
      expect(response.status).toBe(401);
    }
    expect((await server.call('POST', '/v1/agent/events', { as: 'operator:eve' })).status).toBe(
      403,
    );
  });

  it('is read whatever its content type says: an agent must not be jammed by a header', async () => {
    const response = await post(ack(1), {}, { 'content-type': '//' });
    expect(response.status).toBe(204);
  });

  it('under another major of the protocol is 426', async () => {
    const response = await post(ack(3), {}, { 'x-nixfleet-protocol': '2' });
    expect(response.status).toBe(426);
    expect((await post(ack(1), {}, { 'x-nixfleet-protocol': '1' })).status).toBe(204);
  });
});

describe('a heartbeat', () => {
  it('is asked to replay from what is missing', async () => {
    const behind = await heartbeat({ last_event_seq_by_rollout: { [EDGE]: 40 } });
    expect(behind.status).toBe(200);
    expect(behind.headers.get('x-nixfleet-replay-from')).not.toBeNull();
  });

  it('says nothing of rollouts that are unknown', async () => {
    const response = await heartbeat({ last_event_seq_by_rollout: { 'edge@beef': 40 } });
    expect(response.headers.get('x-nixfleet-replay-from')).toBeNull();
  });

  it('that cannot be read is 400 with what to send', async () => {
    const response = await heartbeat({ at: 'yesterday' });
    expect(response.status).toBe(400);
    expect(await codeOf(response)).toMatchObject({ code: 'malformed' });
  });
});

describe('manifests', () => {
  it.each([
    ['/v1/fleet.resolved', 'fleet.resolved.json', 'application/json'],
    ['/v1/fleet.resolved/sig', 'fleet.resolved.json.sig', 'application/octet-stream'],
    [`/v1/rollouts/${EDGE}`, `rollouts/${EDGE}.json`, 'application/json'],
    [`/v1/rollouts/${EDGE}/sig`, `rollouts/${EDGE}.json.sig`, 'application/octet-stream'],
  ])('%s is byte for byte what was signed', async (route, file, type) => {
    const response = await server.call('GET', route, AGENT);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
    expect(response.headers.get('cache-control')).toBe('no-cache');
    const served = createHash('sha256').update(Buffer.from(await response.arrayBuffer()));
    const signed = createHash('sha256').update(await readFile(path.join(GOOD, file)));
    expect(served.digest('hex')).toBe(signed.digest('hex'));
    const etag = response.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"/);
    const headers = { 'if-none-match': etag };
    expect((await server.call('GET', route, { ...AGENT, headers })).status).toBe(304);
  });

  it('that do not exist are 404, and names that cannot exist 400', async () => {
    expect((await server.call('GET', '/v1/rollouts/edge@beef', AGENT)).status).toBe(404);
    expect((await server.call('GET', '/v1/rollouts/..%2fsecrets', AGENT)).status).toBe(400);
  });
});
