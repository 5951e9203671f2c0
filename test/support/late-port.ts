/** A database that was away comes: its server appears at a port where nobody listened. */
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
