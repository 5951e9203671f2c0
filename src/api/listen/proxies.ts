/**
 * The listener for proxies: the same application, reached by proxies alone. Who connects from an address that is
 * not configured is cut off before a handshake; who connects from one proves itself by a certificate of the
 * proxies' authority in that handshake, or by a secret with each request (`identity/forwarded.ts`), or both.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import https from 'node:https';
import { BlockList, isIPv6, type AddressInfo, type Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';

export interface ProxyListen {
  readonly host: string;
  readonly port: number;
  /** Addresses and CIDR ranges of the proxies. */
  readonly addresses: readonly string[];
}

export class ProxyListener {
  private readonly server: Server;
  private readonly where: ProxyListen;
  private readonly sockets = new WeakSet<Socket>();

  constructor(server: Server, where: ProxyListen) {
    this.server = server;
    this.where = where;
    const known = rangesOf(where.addresses);
    server.prependListener('connection', (socket: Socket) => {
      const { remoteAddress = '' } = socket;
      if (!known.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) socket.destroy();
    });
    const opened = server instanceof https.Server ? 'secureConnection' : 'connection';
    server.prependListener(opened, (socket: Socket) => {
      this.sockets.add(socket);
    });
  }

  brought({ raw }: FastifyRequest): boolean {
    return this.sockets.has(raw.socket);
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
