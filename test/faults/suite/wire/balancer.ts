/**
 * Passes TCP connections on to the processes in turn. It knows nothing of HTTP and retries nothing: a process
 * that does not answer costs its caller the connection, so that every answer an agent gets is a process's own.
 */
import { once } from 'node:events';
import net from 'node:net';

export interface Balancer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const open = new Set<net.Socket>();
  let turn = 0;
  const server = net.createServer({ noDelay: true }, (client) => {
    const port = ports[turn % ports.length] ?? 0;
    turn += 1;
    const upstream = net.connect({ port, host: '127.0.0.1', noDelay: true });
    client.pipe(upstream).pipe(client);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => undefined); // close follows
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the balancer has no port');
  return {
    port: address.port,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
