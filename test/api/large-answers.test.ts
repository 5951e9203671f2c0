/** Large answers wait in memory for their readers: how much may wait, for how long, and that it is given back. */
import { once } from 'node:events';
import net from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { addErrors } from '../../src/api/errors.ts';
import { addLargeAnswers } from '../../src/api/large-answers.ts';
import type { Pool } from '../../src/db/pool.ts';
import { createMetrics } from '../../src/telemetry.ts';
import { silentLogger } from '../support/installation.ts';
import { eventually } from '../support/eventually.ts';
import { fakeClock } from './support/fakes.ts';

/** More than the kernel keeps for a connection whose reader reads nothing. */
const BYTES = 32 * 1024 ** 2;
const clock = fakeClock();
const NO_DATABASE: Pool = {
  unconfirmed: 0,
  run: () => Promise.reject(new Error('nobody asks the database here')),
  end: () => Promise.resolve(),
};
let app: FastifyInstance;
const readers = new Set<net.Socket>();
const cuts: string[] = [];
afterEach(async () => {
  for (const reader of readers) reader.destroy();
  readers.clear();
  await app.close();
});

/** Three of them may wait, of three callers: who asks says who they are. */
async function listen(): Promise<number> {
  app = fastify({ forceCloseConnections: true });
  const deps = { clock, random: () => 0, log: silentLogger(), metrics: createMetrics() };
  addErrors(app, { ...deps, pool: NO_DATABASE }, () => undefined);
  app.decorateRequest('identity', null);
  app.addHook('onRequest', (request, _reply, next) => {
    const hostname = String(request.headers['x-caller'] ?? '');
    if (hostname !== '') request.identity = { kind: 'agent', hostname };
    next();
  });
  addLargeAnswers(app, { ...deps, cut: (why) => cuts.push(why) }, 3 * BYTES);
  const body = Buffer.alloc(BYTES, 'x');
  app.get('/large', (_, reply) => reply.header('etag', '"1"').send(body));
  app.get('/small', () => 'small');
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
}

/** Takes the first bytes of an answer, and no more. */
async function neverReads(port: number, caller: string, questions = 1): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  readers.add(socket);
  const question = `GET /large HTTP/1.1\r\nHost: muster\r\nX-Caller: ${caller}\r\n\r\n`;
  socket.write(question.repeat(questions));
  await once(socket, 'readable');
  return socket;
}

const ask = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`);

async function status(port: number, path = '/large'): Promise<number> {
  const answer = await ask(port, path);
  await answer.arrayBuffer();
  return answer.status;
}

it('are refused while too many wait, and small ones are not', async () => {
  const port = await listen();
  for (const caller of ['a', 'b', 'c']) await neverReads(port, caller);
  const refused = await ask(port, '/large');
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ code: 'not-accepted' });
  expect(refused.headers.get('retry-after')).toBe('2');
  expect(refused.headers.get('etag')).toBeNull();
  expect(await status(port, '/small')).toBe(200);
  const [first] = readers;
  first?.destroy();
  await eventually(() => status(port)).toBe(200);
});

it('make room when they were read, and when those behind them on a connection never will be', async () => {
  const port = await listen();
  for (let i = 0; i < 9; i += 1) expect(await status(port)).toBe(200);
  const line = await neverReads(port, '', 3);
  await eventually(() => status(port)).toBe(503);
  line.destroy();
  await eventually(() => status(port)).toBe(200);
  for (const caller of ['a', 'b', 'c']) await neverReads(port, caller);
  expect(await status(port)).toBe(503);
});

it('of one caller are not in the way of others', async () => {
  const port = await listen();
  await neverReads(port, 'greedy');
  const more = await fetch(`http://127.0.0.1:${port}/large`, { headers: { 'x-caller': 'greedy' } });
  expect(more.status).toBe(503);
  await more.arrayBuffer();
  expect(await status(port)).toBe(200);
});

it('end with their connection when they are not taken in time', async () => {
  const port = await listen();
  const socket = await neverReads(port, 'a');
  await neverReads(port, 'b');
  await neverReads(port, 'c');
  expect(await status(port)).toBe(503);
  clock.advance(60_000);
  expect(cuts).toContain('slow-reader');
  await eventually(() => status(port)).toBe(200);
  socket.resume();
  await once(socket, 'close');
});
