/** Real input: a whole process that takes its release from an HTTP source, and what it says when it cannot. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { openSource } from '../../src/workers/source.ts';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, until } from '../support/http-server.ts';

const GOOD = path.join(import.meta.dirname, '..', 'fixtures', 'good');
const TOKEN = 'let-me-in';

let origin: Server;
let base: string;
const answered: number[] = [];

beforeAll(async () => {
  origin = createServer((request, response) => {
    const answer = (status: number, headers: Record<string, string>, body?: Buffer): void => {
      answered.push(status);
      response.writeHead(status, headers).end(body);
    };
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      answer(403, {});
      return;
    }
    const file = path.join(GOOD, decodeURIComponent(request.url ?? '/'));
    readFile(file).then(
      (body) => {
        const etag = `"${String(body.length)}"`;
        if (request.headers['if-none-match'] === etag) answer(304, { etag });
        else answer(200, { etag }, body);
      },
      () => {
        answer(404, {});
      },
    );
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const address = origin.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  base = `http://127.0.0.1:${String(address.port)}/`;
});
afterAll(() => origin.close());

describe('an HTTP source', () => {
  const signal = new AbortController().signal;

  it('is asked again with the ETag, and unchanged files cost a 304', async () => {
    const source = openSource(base, TOKEN);
    const first = await source.read('fleet.resolved.json', signal);
    const again = await source.read('fleet.resolved.json', signal);
    expect(again).toEqual(first);
    expect(first).toEqual(await readFile(path.join(GOOD, 'fleet.resolved.json')));
    expect(answered.slice(-2)).toEqual([200, 304]);
  });

  it('has what it has: 404 is absence, anything else an error that names the file', async () => {
    expect(await openSource(base, TOKEN).read('revocations.json', signal)).toBeUndefined();
    await expect(openSource(base, 'wrong').read('fleet.resolved.json', signal)).rejects.toThrow(
      /fleet\.resolved\.json: the source answers 403/,
    );
  });

  it('that is away is named with the reason and the setting', async () => {
    const away = `http://127.0.0.1:${String(await freePort())}`;
    await expect(openSource(away, null).read('fleet.resolved.json', signal)).rejects.toThrow(
      /:\d+\/fleet\.resolved\.json cannot be fetched \(.*ECONNREFUSED.*MUSTER_SOURCE/,
    );
  });

  it('feeds a whole process: its rollouts open', async () => {
    const { url } = await createTestDatabase();
    const server = await startHttpServer(url, { MUSTER_SOURCE: base, MUSTER_SOURCE_TOKEN: TOKEN });
    await until(
      async () => await (await server.call('GET', '/v1/rollouts', { as: 'operator:ada' })).text(),
      (text) => text.includes(EDGE),
    );
    expect(await server.stop()).toEqual([]);
  });
});

describe('a process without usable input says what to do', () => {
  const lineOf = async (settings: Record<string, string>, wanted: RegExp): Promise<void> => {
    const { url } = await createTestDatabase();
    const server = await startHttpServer(url, settings);
    await until(
      () => Promise.resolve(server.lines.join('\n')),
      (lines) => wanted.test(lines),
    );
    const ready = await server.call('GET', '/readyz');
    expect(ready.status).toBe(503);
    await server.stop();
  };

  it('when the trust file is missing', () =>
    lineOf(
      { MUSTER_TRUST_FILE: '/nowhere/trust.json' },
      /cannot read the trust file.*MUSTER_TRUST_FILE/,
    ));

  it('when the trust file is not one', () =>
    lineOf({ MUSTER_TRUST_FILE: path.join(GOOD, 'fleet.resolved.json') }, /is not usable/));

  it('when the source is not there', () =>
    lineOf({ MUSTER_SOURCE: '/nowhere' }, /has no fleet\.resolved\.json.*MUSTER_SOURCE/));
});
