/**
 * The servers that listen: plain HTTP, or TLS that asks clients for a certificate and takes them without one.
 * Node's verdict on a client's certificate is not asked: it tells neither which authority issued it nor what
 * became of that authority since, and a client that fails deserves an answer it can read. See `identity/`.
 *
 * Every connection has an end: what a certificate says is looked at with each request, but a client that renewed
 * its certificate, and a balancer that should spread clients over new replicas, wait for a new connection.
 */
import { constants } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions, SecureVersion } from 'node:tls';
import type { Clock } from '../../telemetry.ts';
import type { ApiLimits } from '../deps.ts';
import { CountedRequest, type Bodies } from './bodies.ts';
import type { CutOff } from './cuts.ts';
import type { KeptMaterial, Material } from './files.ts';
import { boundPipelining } from './pipelining.ts';

type ListenLimits = Pick<ApiLimits, 'requestTimeoutMs' | 'maxConnections' | 'connectionMaxMs'>;

export interface ServerTls {
  readonly material: KeptMaterial;
  readonly minVersion: SecureVersion;
}

/** Longer than a load balancer's own idle timeout is of no use; shorter than Node's default 5 s makes agents reconnect. */
const KEEP_ALIVE_MS = 75_000;
/** How often slow requests are looked for: a tenth of the shortest limit that may be set would be 20 ms. */
const CHECK_EVERY_MS = 1_000;
/** Connections of one start would else all end together. */
const AGE_SPREAD = 0.25;

/** For whom a listener is: anyone, or proxies that forward what others proved to them. */
export type Clients = 'anyone' | 'proxies';

interface ServerDeps {
  readonly limits: ListenLimits;
  readonly bodies: Bodies;
  readonly cut: CutOff;
}

export function createServer(
  handler: http.RequestListener,
  { limits, bodies, cut }: ServerDeps,
  tls: ServerTls | null,
  clients: Clients = 'anyone',
): http.Server {
  const { requestTimeoutMs, maxConnections } = limits;
  const options: http.ServerOptions<typeof CountedRequest> = {
    IncomingMessage: CountedRequest,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, requestTimeoutMs / 2),
  };
  const listener = boundPipelining(bodies.bound(handler), cut);
  const server =
    tls === null
      ? http.createServer(options, listener)
      : createTlsServer(listener, { ...options, handshakeTimeout: requestTimeoutMs }, tls, clients);
  server.maxConnections = maxConnections;
  server.on('drop', () => {
    cut('full');
  });
  // Who takes this for a proxy: without a listener Node ends the connection, and nobody knows.
  server.on('connect', (_request, socket) => {
    socket.destroy();
    cut('malformed');
  });
  // Node answers 417 by itself, without a word; who expects what nobody knows is served all the same.
  server.on('checkExpectation', listener);
  return server;
}

function createTlsServer(
  handler: http.RequestListener,
  options: https.ServerOptions,
  { material, minVersion }: ServerTls,
  clients: Clients,
): https.Server {
  const context = (now: Material): SecureContextOptions =>
    contextOf(now, minVersion, askedOf(now, clients));
  const server = https.createServer(
    {
      ...options,
      ...context(material.current),
      requestCert: askedOf(material.current, clients).length > 0,
      // A proxy is one or is not; everyone else is judged with each request.
      rejectUnauthorized: clients === 'proxies',
    },
    handler,
  );
  // Tickets of the old context are worth nothing under the new one: nobody resumes what was trusted before.
  material.onChange((now) => {
    server.setSecureContext(context(now));
  });
  return server;
}

function contextOf(
  { text: { cert, key } }: Material,
  minVersion: SecureVersion,
  ca: readonly string[],
): SecureContextOptions {
  if (cert === null || key === null) throw new Error('TLS without a certificate');
  return {
    cert,
    key,
    minVersion,
    // Their names are sent to clients, which choose among their certificates by them.
    ...(ca.length === 0 ? {} : { ca: [...ca] }),
    // A client that negotiates again might become another one half way.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function askedOf({ text }: Material, clients: Clients): readonly string[] {
  const texts = clients === 'proxies' ? [text.proxyCa] : [text.fleetCa, text.operatorCa];
  return texts.filter((one) => one !== null);
}

/** What happens to the connections of all servers of an application. */
export class Connections {
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly maxMs: number;
  /**
   * Those that nobody has asked anything over yet, by their two ends: under TLS the
   * socket of a request is not the one that connected.
   */
  private readonly silent = new Map<string, { readonly socket: Socket; readonly isTls: boolean }>();
  private readonly ends = new WeakMap<Socket, number>();
  private draining = false;
  /** Of all servers. */
  open = 0;

  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: () => number },
    { connectionMaxMs }: ListenLimits,
  ) {
    this.clock = clock;
    this.random = random;
    this.maxMs = connectionMaxMs;
  }

  watch(server: http.Server): void {
    const isTls = server instanceof https.Server;
    server.on('connection', (socket: Socket) => {
      const ends = endsOf(socket);
      this.silent.set(ends, { socket, isTls });
      this.open += 1;
      socket.once('close', () => {
        this.silent.delete(ends);
        this.open -= 1;
      });
    });
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      const end = this.clock.monotonic() + this.maxMs * (1 + this.random() * AGE_SPREAD);
      this.ends.set(socket, end);
    });
    // Before the application's own listener, which may answer at once.
    server.prependListener(
      'request',
      ({ socket }: http.IncomingMessage, response: http.ServerResponse) => {
        if (this.silent.size > 0) this.silent.delete(endsOf(socket));
        if (this.isOver(socket)) response.setHeader('connection', 'close');
      },
    );
  }

  /** From now on each connection closes after its next answer. */
  drain(): void {
    this.draining = true;
  }

  private isOver(socket: Socket): boolean {
    const end = this.ends.get(socket);
    return this.draining || (end !== undefined && this.clock.monotonic() >= end);
  }

  /**
   * Ends connections that never said a word (clients and balancers open some ahead of need). Node takes them
   * for busy ones, and closing would wait for them. Under TLS nobody can tell a first request on its way from
   * none: its sender loses nothing that was accepted, and asks another replica.
   */
  endSilent(): void {
    for (const { socket, isTls } of this.silent.values())
      if (isTls || socket.bytesRead === 0) socket.destroy();
  }
}

/** Names a connection by its two ends. */
export function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress ?? ''} ${String(remotePort)} ${localAddress ?? ''} ${String(localPort)}`;
}
