/**
 * The composition root: settings → connections → roles → stop order. The only file that knows everyone.
 *
 * Start: the listener answers at once, so that probes see a process that is alive and says what it waits
 * for; a database that is away is waited for by each role in its own way, with backoff.
 *
 * Stop: readiness off → a delay in which load balancers notice, still serving → no new requests, parked
 * polls answered → the leader finishes its batch and lets the lock go → workers → connections. A deadline
 * ends it regardless and says what did not stop.
 */
import { hostname } from 'node:os';
import pino from 'pino';
import { buildApi, type Api } from './api/app.ts';
import type { ApiDeps } from './api/deps.ts';
import type { KeptMaterial } from './api/listen/files.ts';
import type { Config, Role } from './config.ts';
import { publicSettings } from './config.ts';
import { isStrict } from './config/strict.ts';
import type { DatabaseOptions } from './db/driver.ts';
import { startListener, type Listener } from './db/listen.ts';
import { acquireLock } from './db/lock.ts';
import { createPool, type Pool } from './db/pool.ts';
import { tryPresence } from './db/presence.ts';
import { createFollower, type Follower } from './eventlog/follow.ts';
import { keepLog } from './eventlog/keep.ts';
import { createLeader, type Leader } from './leader/leader.ts';
import { openCertificates, proxyListen, watchEndings } from './main/certificates.ts';
import { createAskLead } from './main/leads.ts';
import { databases } from './main/databases.ts';
import { refuseLogins, untilUnfit, type Logins } from './main/login.ts';
import { readiness } from './main/readiness.ts';
import { checkAuthority, enrolmentOptions } from './main/enrolment.ts';
import { createSubmitter, type Submitter } from './queue/submitter.ts';
import type { Settings } from './reducer/settings.ts';
import {
  createMetrics,
  sparing,
  systemClock,
  type Logger,
  type MetricsRegistry,
} from './telemetry.ts';
import { openSource } from './workers/source.ts';
import { runWorkers } from './workers/workers.ts';
import type { StoredInput } from './wire/input.ts';

export interface RunningServer {
  /** `http://host:port`, once it listens. */
  readonly url: string;
  /** Rejects with the reason when it turns out that this process must not serve. */
  readonly unfit: Promise<never>;
  /** Stops in order. Resolves with the names of what did not stop before the deadline. */
  stop(): Promise<readonly string[]>;
}

/** Statements of the API and the workers; the slowest, a page of a large list, takes a tenth of it. */
const STATEMENT_MS = 5_000;
/** Two gathered statements under way, and one for failed posts and the worker that asks whether it can be stored. */
const PRESENCE_CONNECTIONS = 3;
/** No heartbeat waits that long: on a slow database it is still stored, and behind a lock the next may try. */
const PRESENCE_STATEMENT_MS = 3_000;
/** Polls, sweeps and partition making; one at a time each. */
const WORKER_CONNECTIONS = 2;
/** Storing a 25 MB fleet takes seconds on a slow disk. */
const WORKER_STATEMENT_MS = 60_000;

interface Kit {
  readonly config: Config;
  /** As the API's role. */
  readonly database: DatabaseOptions;
  /** As the role that may write the log. */
  readonly leaderDatabase: DatabaseOptions;
  readonly replica: string;
  readonly version: string;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly listener: Listener;
  readonly submitter: Submitter;
  readonly material: KeptMaterial;
}

/** What readiness goes by. */
interface State {
  draining: boolean;
  leader: Leader | null;
}

/** A part of the process that was started, in the order of starting. */
interface Part {
  readonly name: string;
  stop(): Promise<void>;
}

export function createLogger(config: Pick<Config, 'logLevel'>): Logger {
  return pino({
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}

export async function startServer(
  config: Config,
  version: string,
  log: Logger = createLogger(config),
): Promise<RunningServer> {
  await checkAuthority(config);
  const replica = config.replica ?? `${hostname()}-${String(process.pid)}`;
  const logger = log.child({ replica });
  // First: with files that cannot be used, nothing has begun that would have to end.
  const material = await openCertificates(config, logger);
  const kit = { ...makeKit(config, replica, version, logger), material };
  kit.log.info({ version, settings: publicSettings(config) }, 'starting');
  kit.metrics.set('muster_strict', {}, isStrict(config) ? 1 : 0);
  const has = (role: Role): boolean => config.roles.includes(role);
  const state: State = { draining: false, leader: null };
  const pool = createPool(kit.database, {
    role: 'api',
    max: config.apiConnections,
    statementMs: STATEMENT_MS,
  });
  const presencePool = createPool(kit.database, {
    role: 'presence',
    max: PRESENCE_CONNECTIONS,
    statementMs: PRESENCE_STATEMENT_MS,
  });
  const committed = createFollower({
    database: kit.database,
    pool,
    settings: reducerSettings(config),
    clock: systemClock,
  });
  const api = await startApi(kit, { pool, presencePool, committed }, state, has('api'));
  const leads = has('leader') ? createLeading(kit, api.url) : null;
  state.leader = leads;
  const leader = leads === null ? null : startRole('leader', (signal) => leads.run(signal));
  const workers = has('workers') ? startWorking(kit, presencePool) : null;
  kit.log.info({ url: api.url, roles: config.roles }, 'listening');
  return {
    unfit: untilUnfit({ ...kit, pool }),
    url: api.url,
    stop: () =>
      stopInOrder(kit, { state, api, leader, workers, pools: [pool, presencePool], committed }),
  };
}

function makeKit(
  config: Config,
  replica: string,
  version: string,
  log: Logger,
): Omit<Kit, 'material'> {
  const metrics = createMetrics({ ofProcess: true });
  const logger = sparing(log, systemClock);
  const { database, leaderDatabase } = databases(config, `muster-${replica}`, { logger, metrics });
  const listener = startListener(database, {
    ...{ logger: log, random: Math.random },
    onHearing: (hears) => {
      metrics.set('muster_database_hears_notifications', {}, hears ? 1 : 0);
    },
  });
  const submitter = createSubmitter({
    database,
    replica,
    listener,
    limits: {
      queueRows: config.queueMaxRows,
      queueAgeMs: config.queueMaxAgeSeconds * 1_000,
      heldRows: config.batcherMaxRows,
      batchRows: config.batchRows,
    },
    clock: systemClock,
    logger,
    metrics,
    random: Math.random,
  });
  return { config, database, leaderDatabase, replica, version, log, metrics, listener, submitter };
}

/** The HTTP side of every process; one without the role `api` answers health and metrics only. */
async function startApi(
  kit: Kit,
  { pool, ...kept }: Pick<ApiDeps, 'pool' | 'presencePool' | 'committed'>,
  state: State,
  serves: boolean,
): Promise<Api & { readonly url: string }> {
  const { config, replica, version, listener, submitter, log, metrics } = kit;
  const logins: Logins = { ...kit, pool };
  await refuseLogins(logins);
  const askLead = createAskLead(logins, systemClock);
  const enrolment = enrolmentOptions(config, log);
  watchEndings(kit.material, enrolment, metrics);
  const api = await buildApi(
    {
      submit: (input, options) => submitter.submit(input, options),
      submitCommand: (request, options) => submitter.submitKeyed(request, options),
      pool,
      ...kept,
      wake: { subscribe: (wake) => listener.on('out', wake) },
      clock: systemClock,
      log: sparing(log, systemClock),
      metrics,
      random: Math.random,
      readiness: () => readiness({ ...logins, askLead, submitter, state }),
      replica,
      devIdentity: config.devIdentity,
      needsRevocations: isStrict(config),
      certificates: {
        material: kit.material,
        hostnameSuffix: config.hostnameSuffix,
        minVersion: `TLSv${config.tlsMinVersion}`,
        proxies: proxyListen(config),
      },
      enrolment,
      closureSource: config.closureSource,
      agentFreshnessMinutes: config.agentFreshnessMinutes,
      limits: {
        verdictWaitMs: config.verdictWaitMs,
        requestTimeoutMs: config.requestTimeoutSeconds * 1_000,
        maxParkedPolls: config.maxParkedPolls,
        maxEventStreams: config.maxEventStreams,
        maxConnections: config.maxConnections,
        identityRequestsPerSecond: config.identityRequestsPerSecond,
        requestsPerSecond: config.requestsPerSecond,
        connectionMaxMs: config.connectionMaxMinutes * 60_000,
      },
    },
    { serves, version },
  );
  const url = await api.listen(config.listenHost, config.listenPort);
  return { ...api, url };
}

/** A role that runs until it is told to stop. */
function startRole(name: string, run: (signal: AbortSignal) => Promise<void>): Part {
  const stopping = new AbortController();
  const running = run(stopping.signal);
  return {
    name,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

function createLeading(kit: Kit, url: string): Leader {
  const { config, leaderDatabase, replica, version, listener, log, metrics } = kit;
  return createLeader({
    database: leaderDatabase,
    candidate: { holder: replica, address: config.publicAddress ?? url, version },
    settings: reducerSettings(config),
    batchRows: config.batchRows,
    listener,
    clock: systemClock,
    logger: log,
    metrics,
    random: Math.random,
  });
}

function reducerSettings(config: Config): Settings {
  return {
    agentFreshnessMinutes: config.agentFreshnessMinutes,
    offlineGraceMinutes: config.offlineGraceMinutes,
    deliveredGraceMinutes: config.deliveredGraceMinutes,
    moveGraceMinutes: config.moveGraceMinutes,
    refusedAfterMinutes: config.refusedAfterMinutes,
    heartbeatSeconds: config.heartbeatSeconds,
  };
}

function startWorking(kit: Kit, presencePool: Pool): Part {
  const { config, leaderDatabase: database, listener, log, metrics } = kit;
  const { source, trustFile } = config;
  if (source === null || trustFile === null) throw new Error('the role workers needs a source');
  const pool = createPool(database, {
    role: 'workers',
    max: WORKER_CONNECTIONS,
    statementMs: WORKER_STATEMENT_MS,
  });
  const context = {
    submit: (input: StoredInput) => submitDurably(kit.submitter, input),
    log,
    metrics,
    clock: systemClock,
    random: Math.random,
  };
  const options = {
    pool,
    source: openSource(source, config.sourceToken),
    trustFile,
    pollMs: config.pollSeconds * 1_000,
    heartbeatMs: config.heartbeatSeconds * 1_000,
    // By the login that replicas store them with.
    storesHeartbeats: () => presencePool.run((sql) => tryPresence(sql)),
    tickMs: config.tickSeconds * 1_000,
    retentionDays: config.retentionDays,
    logKeeper: {
      log: keepLog(database, pool),
      everyMs: config.checkpointMinutes * 60_000,
      checkpointTo: config.checkpointTo,
      keepDays: config.logRetentionDays === 0 ? null : config.logRetentionDays,
      mostBytes: config.logRetentionGb === 0 ? null : config.logRetentionGb * 1024 ** 3,
      exportDir: config.logExportDir,
    },
    agentFreshnessMinutes: config.agentFreshnessMinutes,
    acquire: (signal: AbortSignal) =>
      acquireLock({ ...context, database, name: 'workers', listener, logger: log }, signal),
    committed: (signal: AbortSignal) => nextCommit(listener, signal),
  };
  return startRole('workers', async (signal) => {
    await runWorkers(context, options, signal);
    await pool.end();
  });
}

/** A worker's input counts when it is durable; what cannot be stored now is tried again by its task. */
async function submitDurably(submitter: Submitter, input: StoredInput): Promise<void> {
  const result = await submitter.submit(input, { waitMs: 0 });
  switch (result.status) {
    case 'judged':
    case 'queued':
      return;
    case 'invalid':
      throw new Error(`the database cannot store a ${input.kind}: ${result.detail}`);
    case 'unavailable':
      throw new Error(`a ${input.kind} was not taken: ${result.why}`);
  }
}

function nextCommit(listener: Listener, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      forget();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const forget = listener.on('out', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

interface Running {
  readonly state: State;
  readonly api: Api & { readonly url: string };
  readonly leader: Part | null;
  readonly workers: Part | null;
  readonly pools: readonly Pool[];
  readonly committed: Follower;
}

/** Runs the stop order under one deadline; resolves with the names of what did not stop. */
async function stopInOrder(kit: Kit, running: Running): Promise<readonly string[]> {
  const { config, listener, submitter, log } = kit;
  const { state, api, leader, workers, pools, committed } = running;
  state.draining = true;
  api.drain();
  const steps: readonly Part[] = [
    { name: 'drain delay', stop: () => delay(config.drainDelaySeconds * 1_000) },
    { name: 'api', stop: () => api.stop() },
    ...(leader === null ? [] : [leader]),
    ...(workers === null ? [] : [workers]),
    // After the workers, who submit to the end; what they leave is durable and the next leader's.
    { name: 'queue', stop: () => submitter.drain() },
    {
      name: 'connections',
      stop: async () => {
        committed.end();
        kit.material.stop();
        await Promise.all([submitter.end(), listener.stop(), ...pools.map((pool) => pool.end())]);
      },
    },
  ];
  const late = new Set(steps.map((step) => step.name));
  const inOrder = async (): Promise<void> => {
    for (const step of steps) {
      await step.stop().catch((error: unknown) => {
        log.error({ step: step.name, err: error }, 'while stopping');
      });
      late.delete(step.name);
    }
  };
  await Promise.race([inOrder(), delay(config.stopDeadlineSeconds * 1_000)]);
  return [...late];
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(ms, resolve);
  });
}
