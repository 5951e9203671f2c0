/** A database that is away: a port where nobody listens yet, and what makes the server appear there. */
import { once } from 'node:events';
import net from 'node:net';

/** Everything that connects to `port` reaches the server of `url`. */
export async function forward(port: number, url: URL): Promise<net.Server> {
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

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
