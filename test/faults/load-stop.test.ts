/** The load of the fault suite comes to its end, whatever the product answers: a run that hangs says nothing. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startLoad } from './suite/load/load.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Takes everything, until `refuses`. */
async function product(): Promise<{ readonly port: number; refuses: boolean }> {
  const offer = { rollout_id: 'stable@a', channel: 'stable', target_closure: 'c' };
  const seen = { port: 0, refuses: false };
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url?.startsWith('/v1/agent/dispatch') === true) {
      response.end(JSON.stringify(offer));
    } else if (request.url === '/v1/agent/events') {
      response.writeHead(seen.refuses ? 503 : 204).end();
    } else response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  seen.port = (server.address() as AddressInfo).port;
  return seen;
}

it.each([
  ['is taken', false],
  ['is never taken', true],
])('and says whether what it had begun %s', async (_, refuses) => {
  const fake = await product();
  const load = await startLoad(fake.port, ['h1', 'h2'], { eventsOnly: true, stopMs: 500 });
  undo.push(() => load.end());
  load.start();
  await load.more(2, 5_000);
  fake.refuses = refuses;
  const refused = () => load.history.attempts.some(({ status }) => status === 503);
  if (refuses) await expect.poll(refused).toBe(true);
  expect(await load.stop()).toBe(!refuses);
});
