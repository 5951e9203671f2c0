/** What may not keep a replica from stopping. */
import { once } from 'node:events';
import net from 'node:net';
import { it } from 'vitest';
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
