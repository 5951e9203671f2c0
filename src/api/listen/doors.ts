/** The application and its listeners: one for everyone, and one for proxies where it is asked for. */
import fastify, { type FastifyInstance } from 'fastify';
import type { ApiDeps } from '../deps.ts';
import { answerFrameworkError, clientErrorAnswerer } from '../errors.ts';
import { VALIDATION } from '../validation.ts';
import type { Bodies } from './bodies.ts';
import type { CutOff } from './cuts.ts';
import { ProxyListener } from './proxies.ts';
import { Connections, createServer, type ServerTls } from './server.ts';

export interface Doors {
  readonly app: FastifyInstance;
  /** Null where proxies have no listener. */
  readonly proxies: ProxyListener | null;
  /** Listens, and says where. */
  listen(host: string, port: number): Promise<string>;
  /** Each connection closes after its next answer. */
  drain(): void;
  /** Takes no new connections, and resolves when those in progress have ended. */
  close(): Promise<void>;
}

type DoorDeps = ApiDeps & { readonly bodies: Bodies; readonly cut: CutOff };

export function openDoors(deps: DoorDeps): Doors {
  const { certificates, limits } = deps;
  const tls = certificates.material.current.text.cert === null ? null : certificates;
  const connections = new Connections(deps, limits);
  deps.metrics.watch('muster_api_connections', () => connections.open);
  const app = createApp(deps, connections, tls);
  const proxies = openToProxies(app, deps, connections, tls);
  return {
    app,
    proxies,
    async listen(host, port) {
      const url = await app.listen({ host, port });
      await proxies?.listen();
      return tls === null ? url : url.replace(/^http:/, 'https:');
    },
    drain() {
      connections.drain();
    },
    async close() {
      connections.endSilent();
      await Promise.all([app.close(), proxies?.stop()]);
    },
  };
}

function createApp(
  deps: DoorDeps,
  connections: Connections,
  tls: ServerTls | null,
): FastifyInstance {
  return fastify({
    logger: false,
    // Errors of the router must leave through the same door as all others.
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: clientErrorAnswerer(deps.cut),
    ...VALIDATION,
    routerOptions: { maxParamLength: 300 },
    // Called once for each address that a host name stands for.
    serverFactory: (handler) => {
      const server = createServer(handler, deps, tls);
      connections.watch(server);
      return server;
    },
    forceCloseConnections: 'idle',
    // Its own answer says neither when to come again nor why.
    return503OnClosing: false,
  });
}

function openToProxies(
  app: FastifyInstance,
  deps: DoorDeps,
  connections: Connections,
  tls: ServerTls | null,
): ProxyListener | null {
  const { proxies, material } = deps.certificates;
  if (proxies === null) return null;
  const handler: Parameters<typeof createServer>[0] = (request, response) => {
    app.routing(request, response);
  };
  const server = createServer(handler, deps, tls, 'proxies');
  server.on('clientError', clientErrorAnswerer(deps.cut));
  connections.watch(server);
  return new ProxyListener(server, proxies, material, deps.cut);
}
