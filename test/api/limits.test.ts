/**
 * Clients that waste: slow ones, silent ones, endless headers, bodies made to break a parser. Each is cut off or
 * refused, and whoever asks meanwhile is served. How fast they are served then is `npm run bench -- abuse`.
 */
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { pathTo, routesOf } from './support/routes.ts';
import { makePki, startTlsReplica, type Pki, type TlsReplica } from './support/tls.ts';

const TIMEOUT_MS = 400;
/** A byte each: faster than any idle limit, slower than any whole request. */
const DRIP_MS = 50;

let plain: Replica;
let port: number;
let pki: Pki;
let secure: TlsReplica;
const drips = new Set<NodeJS.Timeout>();

beforeAll(async () => {
  const { url } = await createTestDatabase();
  plain = await startReplica(url, { requestTimeoutMs: TIMEOUT_MS });
  port = Number(new URL(await plain.api.listen('127.0.0.1', 0)).port);
  pki = await makePki();
  secure = await startTlsReplica(url, pki, { requestTimeoutMs: TIMEOUT_MS });
}, 60_000);
afterAll(async () => {
  for (const drip of drips) clearInterval(drip);
  await Promise.all([plain.stop(), secure.stop()]);
});

/** What came back until the server ended the connection, which it must. */
async function untilClosed(socket: net.Socket): Promise<string> {
  let said = '';
  socket.on('data', (data: Buffer) => (said += data.toString()));
  socket.on('error', () => undefined); // cut off while sending
  await new Promise((resolve) => socket.once('close', resolve));
  return said;
}

/** Sends `beginning`, then a byte at a time for as long as anybody listens. */
function drip(socket: net.Socket, beginning: string): net.Socket {
  socket.write(beginning);
  const timer = setInterval(() => socket.write('x'), DRIP_MS);
  drips.add(timer);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

async function others(): Promise<number> {
  const headers = { 'x-muster-dev-identity': 'agent:web-02' };
  const url = `http://127.0.0.1:${String(port)}/v1/agent/dispatch?wait=0`;
  return (await fetch(url, { headers })).status;
}

const AS_AGENT = 'x-muster-dev-identity: agent:web-01\r\n';
const AS_OPERATOR = 'x-muster-dev-identity: operator:ada\r\nidempotency-key: k\r\n';
const json = (more: string): string =>
  `Host: muster\r\n${more}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"`;

describe('a slow client', () => {
  it.each([
    ['head', 'GET /healthz HTTP/1.1\r\nHost: muster\r\nx-slow: '],
    ['body of an event', `POST /v1/agent/events HTTP/1.1\r\n${json(AS_AGENT)}`],
    ['body of a heartbeat', `POST /v1/agent/heartbeat HTTP/1.1\r\n${json(AS_AGENT)}`],
    ['body of a stranger', `POST /v1/enroll HTTP/1.1\r\n${json('')}`],
    ['body of a renewal', `POST /v1/agent/renew HTTP/1.1\r\n${json(AS_AGENT)}`],
    ['body of a command', `POST /v1/fleet/pause HTTP/1.1\r\n${json(AS_OPERATOR)}`],
    [
      'body without an end',
      `POST /v1/agent/events HTTP/1.1\r\nHost: muster\r\n${AS_AGENT}Transfer-Encoding: chunked\r\n\r\nffffff\r\n`,
    ],
  ])('is cut off: its %s', async (_, beginning) => {
    const said = await untilClosed(drip(net.connect(port, '127.0.0.1'), beginning));
    expect(said).toMatch(/^HTTP\/1.1 (408|503|400) |^$/);
    expect(await others()).toBe(204);
  });

  it('is cut off under TLS too, and in the middle of a handshake', async () => {
    const options = { port: secure.port, host: '127.0.0.1', ca: pki.servers.cert };
    const said = untilClosed(drip(tls.connect(options), 'GET /healthz HTTP/1.1\r\nx-slow: '));
    const raw = net.connect(secure.port, '127.0.0.1');
    // The beginning of a TLS record of 512 bytes.
    raw.write(Buffer.from([0x16, 3, 1, 2, 0]));
    const half = untilClosed(drip(raw, ''));
    expect(await said).toMatch(/^HTTP\/1.1 408 |^$/);
    expect(await half).not.toContain('HTTP');
  });
});

describe('a silent connection', () => {
  it('ends, hundreds of them, and nobody is kept waiting', async () => {
    const ends = [port, secure.port].flatMap((to) =>
      Array.from({ length: 250 }, () => untilClosed(net.connect(to, '127.0.0.1'))),
    );
    expect(await others()).toBe(204);
    const nobody = secure.client(null);
    expect((await nobody.ask('/healthz')).status).toBe(200);
    await Promise.all(ends);
    expect(await others()).toBe(204);
  });

  it('beyond the number that may be open is refused, and they that end make room', async () => {
    const { url } = await createTestDatabase();
    const small = await startReplica(url, { requestTimeoutMs: TIMEOUT_MS, maxConnections: 20 });
    const at = await small.api.listen('127.0.0.1', 0);
    const ends = Array.from({ length: 60 }, () =>
      untilClosed(net.connect(Number(new URL(at).port), '127.0.0.1')),
    );
    const asked = (): Promise<number> =>
      new Promise((resolve) => {
        http
          .get(`${at}/healthz`, { agent: false }, (answer) => resolve(answer.statusCode ?? 0)) //
          .on('error', () => resolve(0));
      });
    await eventually(asked).toBe(200);
    await Promise.all(ends);
    expect(await cuts(small, 'full')).toBeGreaterThanOrEqual(40);
    expect(small.logged.filter((line) => line.includes('MUSTER_MAX_CONNECTIONS'))).toHaveLength(1);
    await small.stop();
  });
});

async function cuts({ api }: Replica, why: string): Promise<number> {
  const { body } = await api.app.inject({ url: '/metrics' });
  const found = new RegExp(`^muster_api_connections_cut_total{why="${why}"} (\\d+)$`, 'm').exec(
    body,
  );
  return Number(found?.[1]);
}

it.each([
  ['malformed', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['malformed', 'nothing that is HTTP\r\n\r\n'],
  ['headers-too-large', `GET / HTTP/1.1\r\nHost: muster\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`],
  ['too-slow', 'GET / HTTP/1.1\r\n'],
  ['pipelining', 'GET /healthz HTTP/1.1\r\nHost: muster\r\n\r\n'.repeat(50)],
])('whoever is cut off is counted: %s', async (why, said) => {
  const before = await cuts(plain, why);
  const socket = net.connect(port, '127.0.0.1');
  socket.write(said);
  await untilClosed(socket);
  await eventually(() => cuts(plain, why)).toBe(before + 1);
});

it('a handshake that fails is counted', async () => {
  const before = await cuts(secure, 'tls');
  const socket = net.connect(secure.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await untilClosed(socket);
  // Nobody may ask for metrics as often as one likes.
  await eventually(() => cuts(secure, 'tls'), { interval: 500 }).toBe(before + 1);
});

describe('headers', () => {
  it.each([
    ['one that is long', `x-long: ${'x'.repeat(20_000)}\r\n\r\n`],
    [
      'many',
      `${Array.from({ length: 5_000 }, (_, i) => `x-${String(i)}: y`).join('\r\n')}\r\n\r\n`,
    ],
  ])('are bounded: %s', async (_, lines) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(`GET /healthz HTTP/1.1\r\nHost: muster\r\n${lines}`);
    expect(await untilClosed(socket)).toMatch(/^HTTP\/1.1 431 /);
    expect(await others()).toBe(204);
  });

  it('without an end are cut off', async () => {
    const socket = net.connect(port, '127.0.0.1');
    const said = untilClosed(socket);
    socket.write('GET /healthz HTTP/1.1\r\nHost: muster\r\n');
    const flood = (): void => {
      while (!socket.destroyed && socket.write(`x-a: ${'y'.repeat(100)}\r\n`));
      if (!socket.destroyed) socket.once('drain', flood);
    };
    flood();
    expect(await said).toMatch(/^HTTP\/1.1 (431|408) |^$/);
  });
});

it('an expectation that nobody knows changes nothing', async () => {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /healthz HTTP/1.1\r\nHost: muster\r\nExpect: foo\r\nConnection: close\r\n\r\n');
  expect(await untilClosed(socket)).toMatch(/^HTTP\/1.1 200 /);
});

describe('answers that nobody reads', () => {
  const questions = (n: number, path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: muster\r\n\r\n`.repeat(n);

  it('are not made by the thousand for one connection', async () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(questions(1_000, '/openapi.json'));
    const answers = (await untilClosed(socket)).split('HTTP/1.1 200').length - 1;
    expect(answers).toBeLessThanOrEqual(4);
    expect(await others()).toBe(204);
  });

  it('may be some, asked for before the first came', async () => {
    const socket = net.connect(port, '127.0.0.1');
    const last = 'GET /healthz HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n\r\n';
    socket.write(questions(3, '/healthz') + last);
    expect((await untilClosed(socket)).split('HTTP/1.1 200').length - 1).toBe(4);
  });
});

const DEPTH = 400_000;
const nest = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const bodies: readonly (readonly [string, string])[] = [
  ['400,000 arrays in each other', nest(DEPTH)],
  ['as many as fit', nest(100_000)],
  ['as many, in a field', `{"hostname":"web-01","event":${nest(100_000)},"reason":${nest(50)}}`],
  [
    '__proto__',
    '{"__proto__":{"hostname":"web-01","isAdmin":true},"hostname":"web-01","reason":"x"}',
  ],
  [
    'a constructor',
    '{"constructor":{"prototype":{"isAdmin":true}},"hostname":"web-01","reason":"x"}',
  ],
  ['a huge number', `{"hostname":"web-01","expectedSeq":1e999999,"reason":"x","at":1e999999}`],
  ['a number of 100,000 digits', `{"hostname":"web-01","reason":"x","seq":${'9'.repeat(100_000)}}`],
  ['lone surrogates', '{"hostname":"web-01","reason":"\\ud800","current_closure":"\\udfff"}'],
  ['NUL', '{"hostname":"web-01","reason":"a\\u0000b","current_closure":"\\u0000"}'],
  ['bytes that are no text', '{"hostname":"web-01","reason":"\u00ff\u00fe'],
  ['the same key 20,000 times', `{${'"hostname":"web-01",'.repeat(10_000)}"reason":"x"}`],
  ['null', 'null'],
];

describe('a body made to break a parser', () => {
  it.each(bodies)('%s: refused or judged by every route, never a fault', async (_, payload) => {
    const posts = routesOf(plain.api.app).filter(({ method }) => method === 'POST');
    expect(posts.length).toBeGreaterThan(15);
    for (const { route } of posts) {
      for (const as of ['agent:web-01', 'operator:ada']) {
        const answer = await plain.api.app.inject({
          ...{ method: 'POST', url: pathTo(route), payload: Buffer.from(payload, 'latin1') },
          headers: {
            ...{ 'content-type': 'application/json', 'x-muster-dev-identity': as },
            ...{ 'idempotency-key': 'k', prefer: 'verdict' },
          },
        });
        const known = [200, 202, 204, 400, 401, 403, 404, 409, 413, 415, 422, 501, 503];
        expect([route, as, known.includes(answer.statusCode), answer.statusCode]).toEqual([
          ...[route, as, true],
          answer.statusCode,
        ]);
        expect(answer.body).not.toMatch(/\bat .*\.ts:|node_modules|SELECT /);
      }
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(Reflect.get({}, 'isAdmin')).toBeUndefined();
  });

  it('leaves nothing in the queue that PostgreSQL would refuse', () => {
    // Excerpts quote what was sent: there a backslash stands before the escape.
    const written = /(?<!\\)(\\\\)*\\u(0000|d[89a-f])/i;
    expect(written.test(JSON.stringify(['\0']))).toBe(true);
    expect(written.test(JSON.stringify(plain.inputs))).toBe(false);
    expect(plain.inputs.length).toBeGreaterThan(0);
  });
});
