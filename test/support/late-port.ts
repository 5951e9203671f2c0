/** A database that was away comes: its server appears at a port where nobody listened. */
import { once } from 'node:events';
import net from 'node:net';

/** Everything that connects to `port` reaches the server of `url`. */
export async function forward(port: number, url: URL): Promise<net.Server> {
  const server = net.createServer((inside) => {
    lead(inside, url);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function lead(inside: net.Socket, { port, hostname }: URL): void {
  const outside = net.connect(Number(port), hostname);
  inside.pipe(outside).pipe(inside);
  inside.on('error', () => outside.destroy());
  outside.on('error', () => inside.destroy());
}

export interface Door {
  readonly port: number;
  /** From now on, whoever connects; null: is cut off at once. */
  leadTo(url: URL | null): void;
  close(): Promise<void>;
}

/** One endpoint for servers that come after each other. It keeps its port, which could else be taken between them. */
export async function openDoor(first: URL): Promise<Door> {
  let target: URL | null = first;
  const server = net.createServer((inside) => {
    if (target === null) inside.destroy();
    else lead(inside, target);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    leadTo: (url) => {
      target = url;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
