/**
 * The HTTP application: plugins in their order, then routes. Handlers are thin; what they decide lives in
 * the reducer's read functions, what they know in committed rows.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
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
import { developmentIdentity } from './identity/development.ts';
import { addIdentity } from './identity/identity.ts';
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

/** Longer than a load balancer's own idle timeout is of no use; shorter than Node's default 5 s makes agents reconnect. */
const KEEP_ALIVE_MS = 75_000;
/** Where `npm run build` puts the operator's page. */
const PAGE_DIR = fileURLToPath(new URL('../web/', import.meta.url));
/** How often slow requests are looked for: a tenth of the shortest limit that may be set would be 20 ms. */
const CHECK_EVERY_MS = 1_000;

export interface ApiOptions {
  /** Serve agents and operators; else only health and metrics. */
  readonly serves: boolean;
  readonly version: string;
}

export async function buildApi(deps: ApiDeps, options: ApiOptions): Promise<Api> {
  const { maxParkedPolls, maxEventStreams } = deps.limits;
  const app = createApp(deps.limits);
  const endSilent = silentConnections(app);
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
  addIdentity(app, deps.devIdentity ? [developmentIdentity(app, deps.log)] : []);
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
    listen: (host, port) => app.listen({ host, port }),
    drain() {
      app.server.prependListener('request', (_request, response: ServerResponse) => {
        response.setHeader('connection', 'close');
      });
    },
    async stop() {
      unfollow();
      polls.drain();
      streams.stop();
      endSilent();
      await app.close();
    },
  };
}

function createApp({ requestTimeoutMs, maxConnections }: ApiDeps['limits']): FastifyInstance {
  const app = fastify({
    logger: false,
    // Errors of the router must leave through the same door as all others.
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
    routerOptions: { maxParamLength: 300 },
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: {
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, requestTimeoutMs / 2),
    },
    forceCloseConnections: 'idle',
  });
  app.server.maxConnections = maxConnections;
  return app;
}

/**
 * Ends connections that never said a word (clients and balancers open some ahead of need). Node takes them
 * for busy ones, and closing would wait for them.
 */
function silentConnections({ server }: FastifyInstance): () => void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
  };
}
