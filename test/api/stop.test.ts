/** What may not keep a replica from stopping, and what its callers see of it. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica } from './support/fakes.ts';

it('a connection on which nothing was ever said ends with the replica', async () => {
  const replica = await startReplica((await createTestDatabase()).url);
  const { port } = new URL(await replica.api.listen('127.0.0.1', 0));
  const silent = net.connect(Number(port), '127.0.0.1');
  await once(replica.api.app.server, 'connection');
  const closed = once(silent, 'close');
  silent.resume();
  await replica.stop();
  await closed;
});

it('a replica that is about to stop sends its callers elsewhere, with a whole answer', async () => {
  const replica = await startReplica((await createTestDatabase()).url);
  const url = await replica.api.listen('127.0.0.1', 0);
  const agent = new http.Agent({ keepAlive: true });
  const connectionOf = async (): Promise<string | undefined> => {
    const [answer] = (await once(http.get(`${url}/healthz`, { agent }), 'response')) as [
      http.IncomingMessage,
    ];
    answer.resume();
    await once(answer, 'end');
    expect(answer.statusCode).toBe(200);
    return answer.headers.connection;
  };
  expect(await connectionOf()).toBe('keep-alive');
  replica.api.drain();
  expect(await connectionOf()).toBe('close');
  agent.destroy();
  await replica.stop();
});

it('a request that comes while the replica closes is told to come again, as any that is not accepted', async () => {
  const metrics = createMetrics();
  const replica = await startReplica((await createTestDatabase()).url, {}, {}, { metrics });
  const { port } = new URL(await replica.api.listen('127.0.0.1', 0));
  const socket = net.connect(Number(port), '127.0.0.1');
  const ask = (line: string, more = ''): void => {
    socket.write(
      `${line} HTTP/1.1\r\nhost: muster\r\nx-muster-dev-identity: operator:ada\r\n${more}\r\n`,
    );
  };
  const held = replica.holdNext();
  ask('GET /v1/queue');
  await held.answered;
  const stopped = replica.stop();
  const second = once(replica.api.app.server, 'request');
  ask('POST /v1/hosts/web-01/hold', 'content-length: 0\r\n');
  await second;
  held.release();
  const answers: string[] = [];
  for await (const piece of socket) answers.push(String(piece));
  await stopped;
  const [, first = '', last = ''] = answers.join('').split('HTTP/1.1 ');
  expect(first).toMatch(/^200 /);
  expect(last).toMatch(/^503 /);
  expect(last).toMatch(/^content-type: application\/problem\+json/im);
  expect(last).toMatch(/^retry-after: [12]\r$/im);
  expect(last).toMatch(/^connection: close\r$/im);
  expect(last).toMatch(/^x-content-type-options: nosniff\r$/im);
  expect(last).toContain('"code":"not-accepted"');
  expect(await metrics.expose()).toContain('muster_api_shed_total{why="draining"} 1');
});
