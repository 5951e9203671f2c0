/** A process knows whether notifications reach it: what stands between may take LISTEN and pass nothing on. */
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startListener } from '../../src/db/listen.ts';
import { Framer } from '../faults/suite/wire/messages.ts';
import { createTestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/installation.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** The way to this database, on which notifications get lost. */
async function deafTo(url: string): Promise<string> {
  const real = new URL(url);
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(real.port), real.hostname);
    const answers = new Framer(false);
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of answers.push(chunk)) if (type !== 'A') client.write(bytes);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const other = new URL(url);
  other.hostname = '127.0.0.1';
  other.port = String(address.port);
  return other.href;
}

async function listenAt(url: string): Promise<{ hears: boolean; log: readonly string[] }> {
  const log: string[] = [];
  const hears = await new Promise<boolean>((onHearing) => {
    const database = { url, schema: 'muster', name: 'test' };
    const options = { logger: silentLogger(log), random: Math.random, onHearing };
    const listener = startListener(database, options);
    undo.push(() => listener.stop());
  });
  return { hears, log };
}

it('hears itself', async () => {
  const { url } = await createTestDatabase();
  expect(await listenAt(url)).toEqual({ hears: true, log: [] });
});

it('says when it is deaf', async () => {
  const { url } = await createTestDatabase();
  const { hears, log } = await listenAt(await deafTo(url));
  expect(hears).toBe(false);
  expect(log.join()).toMatch(/notifications do not arrive.*give the URL of PostgreSQL itself/);
});
