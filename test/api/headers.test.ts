/** What browsers are told with every answer, and what other origins are not. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { pathTo, routesOf } from './support/routes.ts';

let replica: Replica;
let url: string;

beforeAll(async () => {
  const database = await createTestDatabase();
  replica = await startReplica(database.url);
  url = await replica.api.listen('127.0.0.1', 0);
}, 60_000);
afterAll(() => replica.stop());

describe('every answer', () => {
  it('forbids framing, guessing and running, whatever it is', async () => {
    const routes = [
      ...routesOf(replica.api.app).map(({ method, route }) => ({ method, path: pathTo(route) })),
      { method: 'GET', path: '/nowhere' },
      { method: 'GET', path: '/v1/rollouts/%ff/hosts' },
    ];
    for (const { method, path } of routes) {
      for (const as of ['operator:ada', 'agent:web-01']) {
        const headers = { 'x-muster-dev-identity': as };
        const answer = await fetch(`${url}${path}`, { method, headers });
        await answer.text();
        const { status } = answer;
        const policy = answer.headers.get('content-security-policy') ?? '';
        expect([path, status, policy]).toEqual([
          ...[path, status],
          expect.stringMatching(/^default-src 'none';.*frame-ancestors 'none'/),
        ]);
        expect(policy).not.toMatch(/unsafe/);
        expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
        expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
        // Without TLS a browser would ignore it, and a person would believe it.
        expect(answer.headers.get('strict-transport-security')).toBeNull();
      }
    }
  });

  it('says so on a stream too', async () => {
    const headers = { 'x-muster-dev-identity': 'operator:ada' };
    const stop = new AbortController();
    const answer = await fetch(`${url}/v1/events/stream`, { headers, signal: stop.signal });
    // There is no leader here: the stream is not ready.
    expect([answer.status, answer.headers.get('x-content-type-options')]).toEqual([503, 'nosniff']);
    stop.abort();
  });

  it('says so to what is no request', async () => {
    const head = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const sent = request(url, { headers: { 'x-pad': 'x'.repeat(20_000) } }, (answer) => {
        answer.resume();
        resolve(answer.headers);
      });
      sent.on('error', reject).end();
    });
    expect(head).toMatchObject({ 'x-content-type-options': 'nosniff' });
  });
});

describe('another origin', () => {
  it('is told nothing that would let it in, asking before or outright', async () => {
    const origin = 'https://evil.example';
    const preflight = await fetch(`${url}/v1/fleet/pause`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, idempotency-key',
      },
    });
    const outright = await fetch(`${url}/v1/hosts`, {
      headers: { origin, 'x-muster-dev-identity': 'operator:ada' },
    });
    expect(preflight.status).toBe(404);
    expect(outright.status).toBe(200);
    for (const answer of [preflight, outright]) {
      const names = [...answer.headers.keys()];
      expect(names.filter((name) => name.startsWith('access-control-'))).toEqual([]);
      expect(answer.headers.get('set-cookie')).toBeNull();
    }
  });

  it('cannot send a command as a plain form would be sent', async () => {
    const answer = await fetch(`${url}/v1/fleet/pause`, {
      method: 'POST',
      headers: {
        'content-type': 'text/plain',
        'x-muster-dev-identity': 'operator:ada',
        'idempotency-key': 'x',
      },
      body: '{"reason":"forged"}',
    });
    expect(answer.status).toBe(400);
  });
});
