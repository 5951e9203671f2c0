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
  // Nobody takes what is said to a server that is gone: not even the end of it would be heard.
  outside.on('close', () => inside.destroySoon());
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

export interface Gate {
  readonly port: number;
  /** Connections that their clients hold. */
  readonly held: number;
  /** What the server said meanwhile reaches its clients, and all that it says from now on. */
  open(): void;
  /** All that are held. */
  cut(): void;
  close(): void;
}

/** A server that is slow to answer: of each connection the first `pass` bytes come through until the gate opens. */
export async function openGate(to: URL, pass = 0): Promise<Gate> {
  const inner = new Set<net.Socket>();
  const openings: (() => void)[] = [];
  let isOpen = false;
  const server = net.createServer((inside) => {
    const outside = net.connect(Number(to.port), to.hostname);
    inner.add(inside.on('close', () => inner.delete(inside)));
    inside.pipe(outside);
    inside.on('error', () => outside.destroy());
    outside.on('error', () => inside.destroy());
    if (isOpen) {
      outside.pipe(inside);
      return;
    }
    let left = pass;
    outside.on('readable', () => {
      const said: unknown = left === 0 ? null : outside.read(left);
      if (Buffer.isBuffer(said) && inside.write(said)) left -= said.length;
    });
    openings.push(() => outside.removeAllListeners('readable').pipe(inside));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = (): void => {
    for (const socket of inner) socket.destroy();
  };
  return {
    port: address.port,
    cut,
    get held() {
      return inner.size;
    },
    open() {
      isOpen = true;
      for (const opening of openings) opening();
    },
    close() {
      cut();
      server.close();
    },
  };
}
