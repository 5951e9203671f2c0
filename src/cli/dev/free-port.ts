/** A port for a server that cannot choose one itself, because others must know it before or after its life. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Free on loopback now; somebody may take it a moment later. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
