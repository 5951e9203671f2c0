/** Every answer that depends on the queue: what agents are told, and what is submitted for them. */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Submitted } from '../../src/api/deps.ts';
import { createTestDatabase } from '../support/database.ts';
import { APPLIED, startReplica, type Replica } from './support/fakes.ts';

const HOST = 'web-01';
const AT = '2026-05-16T01:27:01Z';
const EVENT = { kind: 'ActivationStarted', seq: 2, startedAt: AT, switchMethod: 'switch' };

let url: string;
let replica: Replica;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  replica = await startReplica(url, { requestTimeoutMs: 500 });
});
afterAll(() => replica.stop());
beforeEach(() => {
  replica.inputs.splice(0);
});
afterEach(() => {
  replica.answerWith(() => Promise.resolve(APPLIED));
});

function post(body: string | object, headers: Record<string, string> = {}, route = 'events') {
  return replica.api.app.inject({
    method: 'POST',
    url: `/v1/agent/${route}`,
    headers: { 'x-muster-dev-identity': `agent:${HOST}`, ...headers },
    payload: body,
  });
}
const event = (headers: Record<string, string> = {}) =>
  post({ hostname: HOST, rolloutId: 'stable@a1', event: EVENT }, headers);
const answers = (answer: Submitted) => {
  replica.answerWith(() => Promise.resolve(answer));
};

describe('an event', () => {
  it('is submitted decoded, with canonical times', async () => {
    expect((await event()).statusCode).toBe(204);
    expect(replica.inputs).toEqual([
      {
        kind: 'AgentEvent',
        hostname: HOST,
        rolloutId: 'stable@a1',
        event: { ...EVENT, startedAt: '2026-05-16T01:27:01.000Z' },
      },
    ]);
  });

  it('without a verdict in time is 202, preferred or not', async () => {
    answers({ status: 'queued' });
    expect((await event()).statusCode).toBe(202);
    expect((await event({ prefer: 'verdict' })).statusCode).toBe(202);
  });

  it('that is not accepted is 503 with a spread Retry-After and what to do', async () => {
    answers({ status: 'unavailable', why: 'queue-full', retryAfterSecs: 4 });
    const refused = await event();
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toBe('5');
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(refused.json()).toMatchObject({ code: 'not-accepted', status: 503 });
    expect(refused.body).toContain('queue-full');
  });

  it('that the database can never store is kept without its text, and done with', async () => {
    const refused: Submitted = {
      status: 'judged',
      verdict: {
        status: 'refused',
        code: 'malformed',
        detail: 'cannot be stored',
        state: null,
        lastEventSeq: null,
      },
      seqs: [7],
    };
    replica.answerWith((input) =>
      Promise.resolve(
        input.kind === 'AgentEvent' ? { status: 'invalid', detail: '22P05' } : refused,
      ),
    );
    const answer = await event();
    expect(answer.statusCode).toBe(204);
    expect(answer.headers['x-muster-verdict']).toBe('refused; code=malformed');
    expect(replica.inputs.map(({ kind }) => kind)).toEqual(['AgentEvent', 'RefusedEvent']);
    expect(replica.inputs[1]).toMatchObject({ excerpt: '', code: 'malformed' });
  });

  it('is submitted as refused with an excerpt, whatever was sent', async () => {
    await post(`{"hostname":"${HOST}","rolloutId":"stable@a1","event":{"kind":"New","seq":9}}`);
    await post('\u0000 no JSON');
    await post(`{"hostname":"${HOST}","pad":"${'x'.repeat(300 * 1024)}"}`);
    await post('');
    expect(replica.inputs).toMatchObject([
      { kind: 'RefusedEvent', code: 'unknown-kind', seq: 9, rolloutId: 'stable@a1' },
      { kind: 'RefusedEvent', code: 'malformed', seq: null, excerpt: '\uFFFD no JSON' },
      { kind: 'RefusedEvent', code: 'too-large', seq: null, rolloutId: null },
      { kind: 'RefusedEvent', code: 'malformed', excerpt: '' },
    ]);
    const [, , large] = replica.inputs;
    if (large?.kind !== 'RefusedEvent') throw new Error('not kept');
    expect(large.excerpt).toHaveLength(2_048);
    expect(large.excerpt.startsWith(`{"hostname":"${HOST}"`)).toBe(true);
  });

  it('that names another host is refused, however large it is', async () => {
    const other = await post(`{"hostname":"somebody-else","pad":"${'x'.repeat(300 * 1024)}"}`);
    expect(other.statusCode).toBe(403);
    expect(replica.inputs).toEqual([]);
  });

  it('of the exact limit is no larger than the limit', async () => {
    const frame = JSON.stringify({ hostname: HOST, rolloutId: 'stable@a1', event: EVENT, pad: '' });
    const pad = 'x'.repeat(256 * 1024 - frame.length);
    await post(frame.replace('"pad":""', `"pad":"${pad}"`));
    await post(frame.replace('"pad":""', `"pad":"${pad}x"`));
    expect(replica.inputs.map(({ kind }) => kind)).toEqual(['AgentEvent', 'RefusedEvent']);
  });

  it('is refused for a while when a host sends without end', async () => {
    const open: (() => void)[] = [];
    replica.answerWith(
      () =>
        new Promise((resolve) => {
          open.push(() => {
            resolve(APPLIED);
          });
        }),
    );
    const flood = Array.from({ length: 64 }, () => event());
    while (open.length < 64) await new Promise((resolve) => setImmediate(resolve));
    const extra = await event();
    expect(extra.statusCode).toBe(503);
    expect(extra.body).toContain('host-busy');
    for (const answer of open) answer();
    expect((await Promise.all(flood)).every(({ statusCode }) => statusCode === 204)).toBe(true);
    replica.answerWith(() => Promise.resolve(APPLIED));
    expect((await event()).statusCode).toBe(204);
  });

  it('never shows what went wrong inside', async () => {
    replica.answerWith(() => Promise.reject(new Error('SELECT secret FROM somewhere')));
    const failed = await event();
    expect(failed.statusCode).toBe(500);
    expect(failed.json()).toMatchObject({ code: 'internal' });
    expect(failed.body).not.toMatch(/secret|\.ts/);
  });
});

describe('a heartbeat', () => {
  const beat = (fields: object = {}) =>
    post({ hostname: HOST, at: AT, current_closure: 'old', ...fields }, {}, 'heartbeat');

  it('of a host that was never heard becomes an input, and follows its commit', async () => {
    const answer = await beat({ agent_version: '0.2', last_event_seq_by_rollout: {} });
    expect(answer.statusCode).toBe(200);
    expect(replica.inputs).toEqual([
      {
        kind: 'HostReport',
        hostname: HOST,
        at: '2026-05-16T01:27:01.000Z',
        currentClosure: 'old',
        rolloutId: null,
        agentVersion: '0.2',
        lastEventSeqByRollout: {},
      },
    ]);
    answers({ status: 'unavailable', why: 'draining', retryAfterSecs: 1 });
    expect((await beat()).statusCode).toBe(503);
    answers({ status: 'queued' });
    expect((await beat()).statusCode).toBe(200);
  });

  it.each([
    [400, 'no JSON', '{'],
    [400, 'a wrong type', { hostname: HOST, at: AT, uptime_secs: 'long' }],
    [400, 'no time', { hostname: HOST }],
    [400, 'a rollout that is none', { hostname: HOST, at: AT, rollout_id: '../x' }],
    [400, 'seqs of no rollout', { hostname: HOST, at: AT, last_event_seq_by_rollout: { x: 1 } }],
    [403, "another's name", { hostname: 'web-02', at: AT }],
    [413, 'too much', { hostname: HOST, at: AT, pad: 'x'.repeat(300 * 1024) }],
  ])('is %i for %s, and never an input', async (status, _what, body) => {
    const refused = await post(body, {}, 'heartbeat');
    expect(refused.statusCode).toBe(status);
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(replica.inputs).toEqual([]);
  });
});

describe('openapi.json', () => {
  it('says what every route under /v1 answers when all is well', async () => {
    const answer = await replica.api.app.inject({ url: '/openapi.json' });
    const document: { paths: Record<string, Record<string, { responses: object }>> } =
      answer.json();
    const silent = Object.entries(document.paths)
      .flatMap(([route, methods]) =>
        Object.values(methods).map(({ responses }) => [route, Object.keys(responses)] as const),
      )
      .filter(
        ([route, statuses]) => route.startsWith('/v1/') && !statuses.some((s) => /^2/.test(s)),
      );
    expect(silent).toEqual([]);
  });
});

describe('a client that does not finish its request', () => {
  it('is closed when its time is up', async () => {
    const address = new URL(await replica.api.listen('127.0.0.1', 0));
    const socket = connect(Number(address.port), address.hostname);
    const head = [
      'POST /v1/agent/events HTTP/1.1',
      'host: muster',
      `x-muster-dev-identity: agent:${HOST}`,
      'content-length: 1000',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n{"hostname"`);
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    await new Promise((resolve) => socket.on('close', resolve));
    expect(Buffer.concat(received).toString()).toMatch(/^HTTP\/1.1 408 /);
    expect(replica.inputs).toEqual([]);
  });
});
