/**
 * The listener for proxies: the same application, reached by proxies alone. Who connects from an address that is
 * not configured is cut off before a handshake; who connects from one proves itself by a certificate of the
 * proxies' authority in that handshake (and again when that authority is replaced), or by a secret with each
 * request (`identity/forwarded.ts`), or both.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import https from 'node:https';
import { BlockList, isIPv6, type AddressInfo, type Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { CutOff } from './cuts.ts';
import type { KeptMaterial } from './files.ts';
import { endsOf } from './server.ts';

export interface ProxyListen {
  readonly host: string;
  readonly port: number;
  /** Addresses and CIDR ranges of the proxies. */
  readonly addresses: readonly string[];
}

export class ProxyListener {
  private readonly server: Server;
  private readonly where: ProxyListen;
  private readonly material: KeptMaterial;
  /** The proxies' authority when each connected: under TLS the socket of a request is not the one that did. */
  private readonly opened = new Map<string, string | null>();
  private readonly sockets = new WeakMap<Socket, string | null>();

  constructor(server: Server, where: ProxyListen, material: KeptMaterial, cut: CutOff) {
    this.server = server;
    this.where = where;
    this.material = material;
    const known = rangesOf(where.addresses);
    server.prependListener('connection', (socket: Socket) => {
      const { remoteAddress = '' } = socket;
      if (known.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) {
        this.watch(socket);
        return;
      }
      socket.destroy();
      cut('no-proxy');
    });
    const opened = server instanceof https.Server ? 'secureConnection' : 'connection';
    server.prependListener(opened, (socket: Socket) => {
      this.sockets.set(socket, this.opened.get(endsOf(socket)) ?? null);
    });
  }

  private watch(socket: Socket): void {
    const ends = endsOf(socket);
    this.opened.set(ends, this.material.current.text.proxyCa);
    socket.once('close', () => this.opened.delete(ends));
  }

  brought({ raw }: Pick<FastifyRequest, 'raw'>): boolean {
    return this.sockets.has(raw.socket);
  }

  /** Came over a connection whose proxy proved itself to an authority that no longer is the proxies'. */
  isOutdated({ raw }: Pick<FastifyRequest, 'raw'>): boolean {
    return (
      this.brought({ raw }) && this.sockets.get(raw.socket) !== this.material.current.text.proxyCa
    );
  }

  async listen(): Promise<void> {
    const { host, port } = this.where;
    this.server.listen(port, host);
    await once(this.server, 'listening');
  }

  get port(): number {
    const address: AddressInfo | string | null = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Resolves when the last connection has ended; each ends with the answer that it waits for. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeIdleConnections();
    await closed;
  }
}

function rangesOf(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of addresses) {
    const [address = '', bits] = text.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    try {
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    } catch {
      throw new Error(
        `MUSTER_PROXY_ADDRESSES: ${text} is no address and no range such as 10.0.0.0/8`,
      );
    }
  }
  return list;
}
