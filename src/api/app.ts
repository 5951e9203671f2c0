/**
 * The HTTP application: plugins in their order, then routes. Handlers are thin; what they decide lives in
 * the reducer's read functions, what they know in committed rows.
 */
import { fileURLToPath } from 'node:url';
import fastify, { type FastifyInstance } from 'fastify';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { dispatchesSince } from '../db/offers.ts';
import { writeMisses } from '../db/presence.ts';
import { readTail } from '../eventlog/tail.ts';
import type { ApiDeps } from './deps.ts';
import { addErrors, answerClientError, answerFrameworkError } from './errors.ts';
import { followDispatches } from './follow.ts';
import { readRawBodies } from './body.ts';
import { Certificates, tlsIdentity } from './identity/certificates.ts';
import { developmentIdentity } from './identity/development.ts';
import { addIdentity, type Way } from './identity/identity.ts';
import { Connections, createServer, type ServerTls } from './listen/server.ts';
import { addMeasures } from './measures.ts';
import { LogStreams } from './log-stream.ts';
import { createMemory } from './memory.ts';
import { Polls } from './polls.ts';
import { addProtocol } from './protocol.ts';
import { addCommands } from './routes/commands.ts';
import { addDispatch, offerer } from './routes/dispatch.ts';
import { addEvents } from './routes/events.ts';
import { addHeartbeat } from './routes/heartbeat.ts';
import { addLog } from './routes/log.ts';
import { addManifests } from './routes/manifests.ts';
import { addOperator } from './routes/operator.ts';
import { addPage } from './routes/page.ts';
import { addProcess } from './routes/process.ts';

export interface Api {
  readonly app: FastifyInstance;
  /** Listens, and says where. */
  listen(host: string, port: number): Promise<string>;
  /** From now on every answer ends its connection, so that its caller is elsewhere before this process stops. */
  drain(): void;
  /** Takes no new connections, answers parked polls with 204 and lets requests in progress end. */
  stop(): Promise<void>;
}

/** Where `npm run build` puts the operator's page. */
const PAGE_DIR = fileURLToPath(new URL('../web/', import.meta.url));

export interface ApiOptions {
  /** Serve agents and operators; else only health and metrics. */
  readonly serves: boolean;
  readonly version: string;
}

export async function buildApi(deps: ApiDeps, options: ApiOptions): Promise<Api> {
  const { maxParkedPolls, maxEventStreams } = deps.limits;
  const connections = new Connections(deps, deps.limits);
  const tls = deps.certificates.material.current.pem.cert === null ? null : deps.certificates;
  const app = createApp(deps.limits, connections, tls);
  const { pool, replica } = deps;
  const memory = createMemory({
    ...deps,
    keepMisses: (hosts) => pool.run((sql) => writeMisses(sql, replica, hosts)),
  });
  const polls = new Polls({ ...deps, maxParked: maxParkedPolls, offer: offerer(deps) });
  const streams = new LogStreams({
    ...deps,
    maxStreams: maxEventStreams,
    read: (query) => pool.run((sql) => readTail(sql, query)),
  });
  addErrors(app, deps, () => {
    memory.noteShed();
  });
  addMeasures(app, deps);
  addProtocol(app);
  addIdentity(app, waysOf(app, deps));
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Muster', version: options.version },
      tags: [{ name: 'agent' }, { name: 'operator' }, { name: 'commands' }, { name: 'process' }],
    },
  });
  await app.register((plain, _options, done) => {
    const scope = plain.withTypeProvider<TypeBoxTypeProvider>();
    addProcess(scope, deps);
    if (options.serves) {
      addManifests(plain, deps);
      addOperator(scope, deps);
      addCommands(scope, deps);
      addDispatch(scope, deps, polls);
      addLog(scope, deps, streams);
    }
    done();
  });
  if (options.serves) {
    await app.register((plain) => addPage(plain, PAGE_DIR));
    await app.register((plain, _options, done) => {
      const scope = plain.withTypeProvider<TypeBoxTypeProvider>();
      readRawBodies(plain);
      addEvents(scope, deps, memory);
      addHeartbeat(scope, deps, memory);
      done();
    });
  }
  const since = (seq: number) => pool.run((sql) => dispatchesSince(sql, seq));
  const unfollow = options.serves ? followDispatches({ ...deps, since }, polls) : () => undefined;
  return {
    app,
    listen: (host, port) => listenOn(app, { host, port }, tls),
    drain() {
      connections.drain();
    },
    async stop() {
      unfollow();
      polls.drain();
      streams.stop();
      connections.endSilent();
      await app.close();
    },
  };
}

async function listenOn(
  app: FastifyInstance,
  where: { readonly host: string; readonly port: number },
  tls: ServerTls | null,
): Promise<string> {
  const url = await app.listen(where);
  return tls === null ? url : url.replace(/^http:/, 'https:');
}

/** In the order in which they are asked: who presents a certificate is judged by it alone. */
function waysOf(app: FastifyInstance, deps: ApiDeps): Way[] {
  const { material, hostnameSuffix } = deps.certificates;
  const certificates = new Certificates(material, hostnameSuffix, deps.clock);
  return [
    ...(material.isAsking ? [tlsIdentity(certificates)] : []),
    ...(deps.devIdentity ? [developmentIdentity(app, deps.log)] : []),
  ];
}

function createApp(
  limits: ApiDeps['limits'],
  connections: Connections,
  tls: ServerTls | null,
): FastifyInstance {
  return fastify({
    logger: false,
    // Errors of the router must leave through the same door as all others.
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
    routerOptions: { maxParamLength: 300 },
    // Called once for each address that a host name stands for.
    serverFactory: (handler) => {
      const server = createServer(handler, limits, tls);
      connections.watch(server);
      return server;
    },
    forceCloseConnections: 'idle',
  });
}
