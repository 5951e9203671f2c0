/** A process that starts before its database: alive, not ready, says so, and takes up work when it comes. */
import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startHttpServer, until } from '../support/http-server.ts';

/** Everything that connects to `port` reaches the server of `url`. */
async function forward(port: number, url: URL): Promise<net.Server> {
  const server = net.createServer((inside) => {
    const outside = net.connect(Number(url.port), url.hostname);
    inside.pipe(outside).pipe(inside);
    inside.on('error', () => outside.destroy());
    outside.on('error', () => inside.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test('the database comes after the process', async () => {
  const { url } = await createTestDatabase();
  const real = new URL(url);
  const port = await freePort();
  const away = new URL(url);
  away.hostname = '127.0.0.1';
  away.port = String(port);
  const server = await startHttpServer(away.href);
  expect((await server.call('GET', '/healthz')).status).toBe(200);
  const ready = await server.call('GET', '/readyz');
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain('queue cannot take inputs');
  await until(
    () => Promise.resolve(server.lines.join('\n')),
    (lines) => /cannot ask for the lock; trying on .*ECONNREFUSED/.test(lines),
  );
  const database = await forward(port, real);
  await until(
    async () => (await server.call('GET', '/readyz')).status,
    (status) => status === 200,
  );
  expect(await server.stop()).toEqual([]);
  database.close();
});
