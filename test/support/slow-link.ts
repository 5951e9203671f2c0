/** A link to the database that has a bandwidth. */
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const PIECE_BYTES = 16 * 1_024;

/** Each direction of a connection by itself. */
function slow(bytesPerSecond: number): Transform {
  return new Transform({
    highWaterMark: PIECE_BYTES,
    transform(chunk: Buffer, _encoding, done) {
      void delay((chunk.length / bytesPerSecond) * 1_000).then(() => {
        done(null, chunk);
      });
    },
  });
}

/** The address of `url` over such a link; `end` cuts it. */
export async function slowLink(
  url: string,
  megabitsPerSecond: number,
): Promise<{ readonly url: string; readonly end: () => Promise<void> }> {
  const bytesPerSecond = (megabitsPerSecond * 1_000_000) / 8;
  const far = new URL(url);
  const sockets = new Set<Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(far.port), far.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(slow(bytesPerSecond)).pipe(upstream);
    upstream.pipe(slow(bytesPerSecond)).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = new URL(url);
  near.host = `127.0.0.1:${String((server.address() as net.AddressInfo).port)}`;
  return {
    url: near.href,
    end: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
