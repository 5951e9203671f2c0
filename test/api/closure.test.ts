/** The binary cache behind `GET /v1/agent/closure/{hash}`: what becomes of whatever it answers, or does not. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from './support/fakes.ts';

const NARINFO = 'StorePath: /nix/store/x\nSig: cache:abc\n';
const hashOf = (letter: string): string => letter.repeat(32);

let cache: http.Server;
let replica: Replica;
const asked: string[] = [];
let release: () => void = () => undefined;
const held = new Promise<void>((resolve) => (release = resolve));

/** What it does is said by the letter of the hash. */
const answers: Readonly<Record<string, (response: http.ServerResponse) => void>> = {
  a: (response) => response.end(NARINFO),
  b: (response) => response.writeHead(404).end('no'),
  c: (response) => response.writeHead(500).end('<html>stack trace</html>'),
  d: (response) => response.writeHead(302, { location: '/secret' }).end(),
  f: (response) => response.end('x'.repeat(300_000)),
  g: (response) => {
    response.writeHead(200, { 'content-length': '500' }).write('Store');
    setImmediate(() => response.destroy());
  },
  h: (response) => void held.then(() => response.end(NARINFO)),
  i: (response) => response.writeHead(401).end(),
};

beforeAll(async () => {
  const { url } = await createTestDatabase();
  cache = http.createServer((request, response) => {
    asked.push(request.url ?? '');
    answers[(request.url ?? '').split('/').at(-1)?.[0] ?? '']?.(response);
  });
  cache.listen(0, '127.0.0.1');
  await once(cache, 'listening');
  const { port } = cache.address() as AddressInfo;
  const closureSource = `http://127.0.0.1:${String(port)}/store`;
  replica = await startReplica(url, {}, {}, { closureSource });
});
afterAll(async () => {
  release();
  await replica.stop();
  cache.closeAllConnections();
  cache.close();
});

async function closure(name: string) {
  const answer = await replica.api.app.inject({
    url: `/v1/agent/closure/${encodeURIComponent(name)}`,
    headers: { 'x-muster-dev-identity': 'agent:web-01' },
  });
  const { statusCode: status, body, headers } = answer;
  return { status, body, retry: headers['retry-after'], type: String(headers['content-type']) };
}

describe('the binary cache', () => {
  it('is handed on as it is, by the hash of a whole name too', async () => {
    const whole = await closure(`${hashOf('a')}-nixos-system-web-01`);
    expect([whole.status, whole.body]).toEqual([200, NARINFO]);
    expect(whole.type).toContain('text/x-nix-narinfo');
    expect(asked.at(-1)).toBe(`/store/${hashOf('a')}.narinfo`);
  });

  it('that does not have it is 404', async () => {
    expect(await closure(hashOf('b'))).toMatchObject({ status: 404 });
  });

  it.each([
    ['fails', 'c'],
    ['sends elsewhere', 'd'],
    ['never ends', 'f'],
    ['breaks off', 'g'],
    ['wants to know who asks', 'i'],
  ])('that %s is 503, to be tried again, and its words stay its own', async (_, letter) => {
    const answer = await closure(hashOf(letter));
    expect(answer).toMatchObject({ status: 503, type: 'application/problem+json' });
    expect(Number(answer.retry)).toBeGreaterThan(0);
    expect(answer.body).not.toMatch(/stack|xxx|Store|secret|127\.0/);
    expect(asked).not.toContain('/secret');
  });

  it('is asked for nothing that is no hash', async () => {
    const before = asked.length;
    for (const name of ['..', '../secret', `${hashOf('a')}/../x`, hashOf('e'), 'a', hashOf('A')])
      expect([name, [400, 404].includes((await closure(name)).status)]).toEqual([name, true]);
    expect(asked).toHaveLength(before);
  });

  it('that is slow holds 32 requests, and the next is told to come back', async () => {
    const before = asked.length;
    const waiting = Array.from({ length: 32 }, () => closure(hashOf('h')));
    await eventually(() => asked.length - before).toBe(32);
    expect(await closure(hashOf('a'))).toMatchObject({ status: 503 });
    release();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await closure(hashOf('a'))).toMatchObject({ status: 200 });
  });
});
