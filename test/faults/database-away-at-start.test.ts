/** A process that starts before its database: alive, not ready, says so, and takes up work when it comes. */
import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { forward } from '../support/late-port.ts';
import { startHttpServer, until } from '../support/http-server.ts';
import { freePort } from '../../src/cli/dev/free-port.ts';

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
  expect(await ready.text()).toContain('the database does not answer (ECONNREFUSED): ');
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
