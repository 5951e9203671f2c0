/** The door that tests put before servers which come after each other. */
import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { openDoor } from './late-port.ts';

it('closes, also behind a client that still spoke to a server that was gone', async () => {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const door = await openDoor(new URL(`http://127.0.0.1:${port}`));
  const client = net.connect({ port: door.port, host: '127.0.0.1', allowHalfOpen: true });
  const [served] = (await once(server, 'connection')) as [net.Socket];
  served.destroy();
  await once(client.resume(), 'end');
  const closed = door.close();
  client.end('a request that was under way');
  client.on('error', () => undefined); // it may be told that nobody reads
  await expect(closed).resolves.toBeUndefined();
  server.close();
});
