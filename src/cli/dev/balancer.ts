/**
 * The one endpoint: passes TCP connections on to the replicas in turn, to those whose /readyz says yes. It
 * knows nothing of HTTP beyond that, as a cloud's network balancer would not.
 *
 * A replica that does not answer the connect is passed over for the next; with none left the client is cut
 * off and has to come again, which agents do. Those that are not ready come last, and are better than none: on a
 * machine that is too busy a replica says too late that it is, and one that is not says itself when to come again. Each side may close its half first: what the other still has
 * to say gets through.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { once } from 'node:events';
import { errorCode, UsageError } from '../io.ts';

export interface Balancer {
  readonly port: number;
  /** True while at least one replica is ready. */
  isReady(): boolean;
  close(): Promise<void>;
}

interface Backend {
  readonly port: number;
  ready: boolean;
}

/** A replica that stops says so before it closes; a killed one is noticed by the failed connect at once. */
const CHECK_EVERY_MS = 250;
/** A replica on the same machine that takes longer is not one to send anybody to. */
const CHECK_TIMEOUT_MS = 1_000;
/** Agents of one fleet come back all at once after a replica died. */
const BACKLOG = 4_096;

/** Listens on loopback. Port 0: a free one. `ca`: whom to believe where the replicas speak TLS. */
export async function startBalancer(
  port: number,
  replicas: readonly number[],
  ca: string | null = null,
): Promise<Balancer> {
  const backends: Backend[] = replicas.map((replica) => ({ port: replica, ready: false }));
  const open = new Set<net.Socket>();
  let turn = 0;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    turn += 1;
    track(open, client);
    connect(client, inTurn(backends, turn), open);
  });
  await listen(server, port);
  const checks = setInterval(() => {
    for (const backend of backends) check(backend, ca);
  }, CHECK_EVERY_MS);
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    isReady: () => backends.some((backend) => backend.ready),
    close: async () => {
      clearInterval(checks);
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function listen(server: net.Server, port: number): Promise<void> {
  server.listen({ port, host: '127.0.0.1', backlog: BACKLOG });
  try {
    await once(server, 'listening');
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') throw error;
    throw new UsageError(`port ${port} is taken: give another with --port, or 0 for a free one`);
  }
}

/** The ready ones first, then the others, each beginning with the one whose turn it is. */
function inTurn(backends: readonly Backend[], turn: number): Backend[] {
  const ready = backends.filter((backend) => backend.ready);
  const others = backends.filter((backend) => !backend.ready);
  return [...beginningAt(ready, turn), ...beginningAt(others, turn)];
}

function beginningAt(backends: readonly Backend[], turn: number): Backend[] {
  const at = backends.length === 0 ? 0 : turn % backends.length;
  return [...backends.slice(at), ...backends.slice(0, at)];
}

function connect(client: net.Socket, candidates: readonly Backend[], open: Set<net.Socket>): void {
  const [backend, ...others] = candidates;
  if (backend === undefined || client.destroyed) {
    client.destroy();
    return;
  }
  const upstream = net.connect({
    ...{ port: backend.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true },
  });
  track(open, upstream);
  const refused = (): void => {
    backend.ready = false;
    connect(client, others, open);
  };
  upstream.once('error', refused);
  upstream.once('connect', () => {
    upstream.off('error', refused);
    join(client, upstream);
    join(upstream, client);
  });
}

/** `pipe` passes the end on; an error or a reset of one side is passed on as well. */
function join(from: net.Socket, to: net.Socket): void {
  from.pipe(to);
  from.on('close', () => {
    if (from.errored !== null || !from.readableEnded) to.destroy();
  });
}

function track(open: Set<net.Socket>, socket: net.Socket): void {
  open.add(socket);
  socket.on('error', () => undefined); // what it means is said by `close`
  socket.once('close', () => open.delete(socket));
}

function check(backend: Backend, ca: string | null): void {
  const where = { host: '127.0.0.1', port: backend.port, path: '/readyz' };
  const how = { ...where, agent: false, timeout: CHECK_TIMEOUT_MS } as const;
  const heard = (response: http.IncomingMessage): void => {
    response.resume();
    backend.ready = response.statusCode === 200;
  };
  const request = ca === null ? http.get(how, heard) : https.get({ ...how, ca }, heard);
  request.on('timeout', () => request.destroy(new Error('no answer')));
  request.on('error', () => {
    backend.ready = false;
  });
}
