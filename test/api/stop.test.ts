/** What may not keep a replica from stopping, and what its callers see of it. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { expect, it } from 'vitest';
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
