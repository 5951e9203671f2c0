/** The dev balancer: turns, readiness, failed connects, half-closed connections. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { startBalancer, type Balancer } from '../../src/cli/dev/balancer.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Backend {
  readonly port: number;
  ready: boolean;
  close(): void;
}

async function backend(name: string): Promise<Backend> {
  const server = http.createServer((request, response) => {
    const ok = request.url !== '/readyz' || self.ready;
    response.writeHead(ok ? 200 : 503, { connection: 'close' }).end(name);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const self: Backend = {
    ...{ port, ready: true },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  undo.push(self.close);
  return self;
}

async function balancerOver(...backends: readonly Backend[]): Promise<Balancer> {
  const balancer = await startBalancer(
    0,
    backends.map(({ port }) => port),
  );
  undo.push(() => balancer.close());
  await until(() => balancer.isReady());
  return balancer;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}

function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
      text(response).then(resolve, () => resolve('cut'));
    });
    request.on('error', () => resolve('cut'));
  });
}

test('takes turns, and leaves out who is not ready', async () => {
  const [one, two] = [await backend('one'), await backend('two')];
  const { port } = await balancerOver(one, two);
  await until(async () => (await ask(port)) === 'one');
  await until(async () => (await ask(port)) === 'two');
  expect(new Set([await ask(port), await ask(port)])).toEqual(new Set(['one', 'two']));
  one.ready = false;
  await until(async () => (await ask(port)) === 'two' && (await ask(port)) === 'two');
  expect([await ask(port), await ask(port), await ask(port)]).toEqual(['two', 'two', 'two']);
});

test('sends to those who are not ready when nobody is: on a busy machine that is said late', async () => {
  const [one, two] = [await backend('one'), await backend('two')];
  const balancer = await balancerOver(one, two);
  one.ready = false;
  two.ready = false;
  await until(() => !balancer.isReady());
  const answers = [await ask(balancer.port), await ask(balancer.port)];
  expect(answers.sort()).toEqual(['one', 'two']);
});

test('a replica that just died is passed over, and nobody is left waiting with none', async () => {
  const [one, two] = [await backend('one'), await backend('two')];
  const { port } = await balancerOver(one, two);
  one.close();
  for (let i = 0; i < 4; i += 1) expect(await ask(port)).toBe('two');
  two.close();
  expect(await ask(port)).toBe('cut');
});

test('what is still to be said after one side has finished gets through', async () => {
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
    let said = '';
    socket.on('data', (data: Buffer) => {
      said += data.toString();
      if (said.includes('/readyz')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
    socket.on('end', () => setTimeout(() => socket.end(said.toUpperCase()), 50));
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  undo.push(() => echo.close());
  const address = echo.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const balancer = await balancerOver({ port, ready: true, close: () => undefined });
  const client = net.connect({ port: balancer.port, host: '127.0.0.1', allowHalfOpen: true });
  client.end('said and done');
  expect(await text(client)).toBe('SAID AND DONE');
});
