/**
 * A transaction pooler as bad as they come: each client is greeted by a backend of its own, key and all, and from then on
 * gets for every transaction whichever backend became free last.
 */
import { once } from 'node:events';
import net from 'node:net';
import { CONTENTS, Framer, type Message } from '../faults/suite/wire/messages.ts';

export interface Pooler {
  readonly port: number;
  close(): void;
}

interface Backend {
  readonly socket: net.Socket;
  client: Client | null;
  /** Statements that were sent and are not answered. */
  asked: number;
}

interface Client {
  readonly socket: net.Socket;
  backend: Backend | null;
  readonly waiting: Message[];
}

export async function startPooler(url: string): Promise<Pooler> {
  const { hostname, port } = new URL(url);
  const pool = new Pool(() => net.connect(Number(port), hostname));
  const server = net.createServer((socket) => {
    pool.greet(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the pooler has no port');
  return {
    port: address.port,
    close() {
      server.close();
      pool.close();
    },
  };
}

class Pool {
  private readonly connect: () => net.Socket;
  private readonly free: Backend[] = [];
  private readonly queue: Client[] = [];
  private readonly sockets = new Set<net.Socket>();

  constructor(connect: () => net.Socket) {
    this.connect = connect;
  }

  greet(socket: net.Socket): void {
    const client: Client = { socket, backend: null, waiting: [] };
    client.backend = this.open(client);
    const framer = new Framer(true);
    this.keep(socket);
    socket.on('data', (chunk: Buffer) => {
      for (const message of framer.push(chunk)) this.fromClient(client, message);
    });
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private open(client: Client): Backend {
    const backend: Backend = { socket: this.connect(), client, asked: 1 };
    const framer = new Framer(false);
    this.keep(backend.socket);
    backend.socket.on('data', (chunk: Buffer) => {
      for (const message of framer.push(chunk)) this.fromBackend(backend, message);
    });
    return backend;
  }

  private keep(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
  }

  private fromClient(client: Client, message: Message): void {
    if (message.type === 'X') return; // the backend is not this client's to end
    if (client.backend !== null) {
      send(client.backend, message);
      return;
    }
    client.waiting.push(message);
    const backend = this.free.pop();
    if (backend === undefined) this.queue.push(client);
    else serve(backend, client);
  }

  private fromBackend(backend: Backend, { type, bytes }: Message): void {
    backend.client?.socket.write(bytes);
    if (type !== 'Z') return;
    backend.asked -= 1;
    if (backend.asked > 0 || bytes[CONTENTS] !== 'I'.charCodeAt(0)) return;
    if (backend.client !== null) backend.client.backend = null;
    backend.client = null;
    const next = this.queue.shift();
    if (next === undefined) this.free.push(backend);
    else serve(backend, next);
  }
}

function serve(backend: Backend, client: Client): void {
  backend.client = client;
  client.backend = backend;
  for (const message of client.waiting.splice(0)) send(backend, message);
}

function send(backend: Backend, { type, bytes }: Message): void {
  if (type === 'S' || type === 'Q') backend.asked += 1;
  backend.socket.write(bytes);
}
