/**
 * The HTTP application: plugins in their order, then routes. Handlers are thin; what they decide lives in
 * the reducer's read functions, what they know in committed rows.
 */
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { dispatchesSince } from '../db/offers.ts';
import { writeMisses } from '../db/presence.ts';
import { readTail } from '../eventlog/tail.ts';
import type { ApiDeps } from './deps.ts';
import { addErrors, refuseAllOnce, refuseByHand, refuseUnknownRoutes } from './errors.ts';
import { followDispatches } from './follow.ts';
import { addHeaders } from './headers.ts';
import { readRawBodies } from './body.ts';
import { addIdentity } from './identity/identity.ts';
import { openWays } from './identity/ways.ts';
import { Bodies } from './listen/bodies.ts';
import { createCuts } from './listen/cuts.ts';
import { openDoors } from './listen/doors.ts';
import { addMeasures } from './measures.ts';
import { addLargeAnswers } from './large-answers.ts';
import { LogStreams } from './log-stream.ts';
import { createMemory, type Memory } from './memory.ts';
import { Polls } from './polls.ts';
import { addProtocol } from './protocol.ts';
import { callerOf, createRates } from './rates.ts';
import { addRoutes } from './route.ts';
import { addValidation } from './validation.ts';
import { addCommands } from './routes/commands.ts';
import { addDispatch, offerer } from './routes/dispatch.ts';
import { addEnrolment } from './routes/enrol.ts';
import { addEvents } from './routes/events.ts';
import { addHeartbeat } from './routes/heartbeat.ts';
import { addLog } from './routes/log.ts';
import { addManifests } from './routes/manifests.ts';
import { addOperator } from './routes/operator.ts';
import { addPage } from './routes/page.ts';
import { addProcess } from './routes/process.ts';

export interface Api {
  readonly app: FastifyInstance;
  /** Of the listener for proxies, once it listens; null without one. */
  readonly proxyPort: number | null;
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
  const { pool, presencePool, replica, limits } = deps;
  const memory = createMemory({
    ...deps,
    keepMisses: (hosts) => presencePool.run((sql) => writeMisses(sql, replica, hosts)),
  });
  const bodies = boundBodies(deps, memory);
  const cut = createCuts(deps);
  const doors = openDoors({ ...deps, bodies, cut });
  const { app } = doors;
  const polls = new Polls({ ...deps, maxParked: limits.maxParkedPolls, offer: offerer(deps) });
  const streams = new LogStreams({
    ...deps,
    maxStreams: limits.maxEventStreams,
    read: (query) => pool.run((sql) => readTail(sql, query)),
  });
  addRoutes(app);
  addHeaders(app);
  addErrors(app, deps, () => memory.noteShed());
  refuseAllOnce(app, () => polls.isDraining);
  addMeasures(app, deps);
  addLargeAnswers(app, { ...deps, cut });
  addProtocol(app);
  addValidation(app);
  const { ways, revocations } = openWays(app, deps, doors.proxies);
  addCallers(app, { ...deps, bodies }, ways);
  revocations.onChange((hosts) => {
    polls.endOf(hosts);
  });
  await addDescription(app, options.version);
  await app.register((plain, _options, done) => {
    const scope = plain.withTypeProvider<TypeBoxTypeProvider>();
    addProcess(scope, { ...deps, readiness: () => revocations.readiness(deps.readiness) });
    if (options.serves) {
      addManifests(plain, deps);
      addOperator(scope, deps);
      addCommands(scope, deps);
      addDispatch(scope, deps, polls);
      addLog(scope, deps, streams);
      addEnrolment(plain, deps);
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
  const unfollow = options.serves ? followAll(deps, polls) : () => undefined;
  return {
    app,
    listen: (host, port) => doors.listen(host, port),
    get proxyPort() {
      return doors.proxies?.port ?? null;
    },
    drain: () => doors.drain(),
    async stop() {
      unfollow();
      revocations.stop();
      polls.drain();
      streams.stop();
      await doors.close();
    },
  };
}

/** Wakes polls as their dispatches are committed, until the result is called. */
function followAll(deps: ApiDeps, polls: Polls): () => void {
  const since = (seq: number) => deps.pool.run((sql) => dispatchesSince(sql, seq));
  return followDispatches({ ...deps, since }, polls);
}

/** How much may be on its way in. */
function boundBodies(deps: ApiDeps, memory: Memory): Bodies {
  return new Bodies({
    refuse(response, refusal) {
      if (refusal.isShed) memory.noteShed();
      refuseByHand(response, refusal, deps);
    },
    held(bytes) {
      deps.metrics.set('muster_api_body_bytes', {}, bytes);
    },
  });
}

/** Who calls, how often they may, and how much they may be sending. */
function addCallers(
  app: FastifyInstance,
  deps: ApiDeps & { readonly bodies: Bodies },
  ways: Parameters<typeof addIdentity>[1],
): void {
  const rates = createRates(deps.limits, () => deps.clock.monotonic());
  addIdentity(app, ways, (request) => rates.ofNobody(request));
  rates.ofCallers(app);
  refuseUnknownRoutes(app);
  app.addHook('onRequest', (request, _reply, done) => {
    deps.bodies.belongsTo(request.raw, callerOf(request));
    done();
  });
}

async function addDescription(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Muster', version },
      tags: [{ name: 'agent' }, { name: 'operator' }, { name: 'commands' }, { name: 'process' }],
    },
  });
}
