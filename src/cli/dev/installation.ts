/**
 * Everything that `muster dev` runs, and its order: PostgreSQL, migrations, two replicas, the balancer, the
 * fleet. What was started is stopped in the opposite order, whatever went wrong on the way.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { environment } from '../../config.ts';
import { errorCode, UsageError } from '../io.ts';
import { startBalancer, type Balancer } from './balancer.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import type { DevOptions } from './options.ts';
import { developmentOrganisation, writeProfile, type Organisation } from './organisation.ts';
import { runToEnd, supervise, type ProcessSpec, type Supervised } from './processes.ts';
import { developmentTrust, releaseOf, type Release } from './release.ts';
import { hostsOfSample, sampleFleet } from './sample-fleet.ts';
import { freePort } from './free-port.ts';

export const SCHEMA = 'muster';

export interface Installation {
  /** The one endpoint. */
  readonly url: string;
  readonly sql: postgres.Sql;
  readonly release: Release;
  readonly replicas: readonly Supervised[];
  readonly fleet: Supervised;
  /** Journals of all simulated agents. */
  readonly journal: string;
  /** Null: everyone says who they are, and is believed. */
  readonly organisation: Organisation | null;
  /** Rejects when one of the processes does not stay up. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

/** Replicas stop well within it; a fleet at once. */
const STOP_MS = 10_000;
/** Two replicas verify manifests and take leadership within a second or two; a slow machine may need more. */
const READY_WITHIN_MS = 60_000;
/** Agents refuse what was signed over 60 minutes ago. */
const SIGN_EVERY_MS = 20 * 60_000;
/** Heartbeats a second that a fleet sends together: a tenth of what two cores answer beside their work. */
const HEARTBEATS_PER_SECOND = 100;
/** A host that vanishes shows within three of these. */
const MIN_HEARTBEAT_SECONDS = 5;
/** First heartbeats a second: each is an input that may change something, unlike the later ones. */
const FIRST_HEARTBEATS_PER_SECOND = 400;
/** Long enough to be seen, short enough to be waited for. */
const ACTIVATION_SECONDS = 1.5;

interface Context {
  readonly options: DevOptions;
  readonly say: (line: string) => void;
  readonly logDir: string;
  /** Aborts when the user has had enough. */
  readonly signal: AbortSignal;
  /** What to undo, last first. */
  readonly undo: (() => Promise<void> | void)[];
}

/** `ref`: what this run rolls out. */
export async function startInstallation(
  options: DevOptions,
  ref: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Installation> {
  const logDir = path.join(options.dataDir, 'logs');
  const context: Context = { options, say, logDir, signal, undo: [] };
  const stop = stopper(context);
  try {
    return { ...(await start(context, ref)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(context: Context, ref: string): Promise<Omit<Installation, 'stop'>> {
  const { options, undo } = context;
  const database = await startDatabase(context);
  const sql = postgres(database, { max: 1, onnotice: () => undefined });
  undo.push(() => sql.end({ timeout: 1 }));

  const { key, trustFile } = developmentTrust(options.dataDir);
  const sample = sampleFleet(options.hosts, ref, options.soakSeconds);
  const organisation = options.tls
    ? await developmentOrganisation(options.dataDir, trustFile, hostsOfSample(sample))
    : null;
  const release = releaseOf(options.dataDir, sample, key, organisation?.lists);
  await release.sign(Date.now());
  keepFresh(context, release);

  const given = { database, release, trustFile, organisation };
  const replicas = await startReplicas(context, given);
  const balancer = await openEndpoint(context, replicas, organisation);
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${balancer.port}`;
  if (organisation !== null) writeProfile(organisation, url);
  const journal = path.join(options.dataDir, 'fleet.jsonl');
  const failed = Promise.race(replicas.map(({ process: replica }) => replica.failed));
  await Promise.race([untilReady(balancer, context.signal), failed]);
  const fleet = supervise(fleetSpec(context, { ...given, url, journal }), context.say);
  undo.push(() => fleet.stop());
  return {
    ...{ url, sql, release, fleet, journal, organisation },
    replicas: replicas.map(({ process: replica }) => replica),
    failed: Promise.race([failed, fleet.failed]),
  };
}

/** Only once, and everything, even if something of it fails. */
function stopper(context: Context): () => Promise<void> {
  let stopping: Promise<void> | null = null;
  const run = async (): Promise<void> => {
    for (const undo of context.undo.reverse()) {
      try {
        await undo();
      } catch (error) {
        context.say(`while stopping: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  return () => (stopping ??= run());
}

async function startDatabase(context: Context): Promise<string> {
  const { options, say, undo, logDir } = context;
  const server = await startEmbeddedPostgres({
    dataDir: path.join(options.dataDir, 'postgres'),
    // Two replicas with some ten connections each, this process, and whoever wants to look.
    settings: { max_connections: '100' },
    log: say,
  });
  undo.push(() => server.stop('fast'));
  const env = { ...environment(), MUSTER_DATABASE_URL: server.url, MUSTER_SCHEMA: SCHEMA };
  const spec = { name: 'migrate', module: '../muster.js', args: ['migrate'], env, logDir };
  await runToEnd({ ...spec, stopMs: STOP_MS });
  return server.url;
}

/** Signs the same release again and again, as CI would, so that agents do not find it stale. */
function keepFresh({ say, undo }: Context, release: Release): void {
  const timer = setInterval(() => {
    release
      .sign(Date.now())
      .catch((error: unknown) => say(`signing again failed: ${String(error)}`));
  }, SIGN_EVERY_MS);
  undo.push(() => clearInterval(timer));
}

interface Replica {
  readonly port: number;
  readonly process: Supervised;
}

/** What the processes of an installation share. */
interface Given {
  readonly database: string;
  readonly release: Release;
  readonly trustFile: string;
  readonly organisation: Organisation | null;
}

async function startReplicas(context: Context, given: Given): Promise<Replica[]> {
  const ports = [await freePort(), await freePort()];
  const replicas = ports.map((port, index): Replica => {
    const spec = replicaSpec(context, `serve-${index + 1}`, port, given);
    return { port, process: supervise(spec, context.say) };
  });
  context.undo.push(async () => {
    await Promise.all(replicas.map(({ process: replica }) => replica.stop()));
  });
  return replicas;
}

function replicaSpec(
  { options, logDir }: Context,
  name: string,
  port: number,
  { database, release, trustFile, organisation }: Given,
): ProcessSpec {
  const settings = {
    roles: 'api,leader,workers',
    'listen-port': port,
    replica: name,
    source: release.source,
    'trust-file': trustFile,
    'heartbeat-seconds': heartbeatSeconds(options),
    // The source is a directory on this disk.
    'poll-seconds': 1,
    // The balancer asks four times a second.
    'drain-delay-seconds': 1,
    'stop-deadline-seconds': STOP_MS / 1000 - 1,
    ...(organisation?.settings ?? { 'dev-identity': true }),
  };
  const args = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  return {
    ...{ name, logDir, module: '../muster.js' },
    args: ['serve', ...args],
    env: { ...environment(), MUSTER_DATABASE_URL: database, MUSTER_SCHEMA: SCHEMA },
    stopMs: STOP_MS,
  };
}

async function openEndpoint(
  context: Context,
  replicas: readonly Replica[],
  organisation: Organisation | null,
): Promise<Balancer> {
  const { port, portGiven } = context.options;
  const ports = replicas.map((replica) => replica.port);
  const ca = organisation === null ? null : readFileSync(organisation.serverFile, 'utf8');
  const balancer = await startBalancer(port, ports, ca).catch((error: unknown) => {
    if (portGiven || !(error instanceof UsageError)) throw error;
    return startBalancer(0, ports, ca);
  });
  context.undo.push(() => balancer.close());
  return balancer;
}

async function untilReady(balancer: Balancer, signal: AbortSignal): Promise<void> {
  const until = Date.now() + READY_WITHIN_MS;
  while (!balancer.isReady()) {
    if (signal.aborted) throw new Error('interrupted');
    if (Date.now() > until) {
      throw new Error(`no replica was ready within ${READY_WITHIN_MS / 1000} s: see the logs`);
    }
    await delay(50);
  }
}

function fleetSpec(
  { options, logDir }: Context,
  given: Given & { readonly url: string; readonly journal: string },
): ProcessSpec {
  const { organisation } = given;
  const settings = {
    endpoint: given.url,
    fleet: path.join(given.release.source, 'fleet.resolved.json'),
    trust: given.trustFile,
    journal: given.journal,
    'heartbeat-seconds': heartbeatSeconds(options),
    'first-heartbeat-seconds': Math.max(0.5, options.hosts / FIRST_HEARTBEATS_PER_SECOND),
    'activation-seconds': ACTIVATION_SECONDS,
    'fail-switch': options.failSwitch,
    'fail-probe': options.failProbe,
    ...(organisation === null
      ? {}
      : { ca: organisation.serverFile, credentials: organisation.credentials }),
  };
  const args = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const spec = { name: 'fleet', module: './fleet-process.js', args, env: environment() };
  return { ...spec, logDir, stopMs: STOP_MS };
}

function heartbeatSeconds({ hosts }: DevOptions): number {
  return Math.max(MIN_HEARTBEAT_SECONDS, hosts / HEARTBEATS_PER_SECOND);
}

/** The sentence for what went wrong, without a stack where none helps. */
export function sentence(error: unknown): string {
  if (error instanceof Error && errorCode(error) !== 'unknown error') {
    return `${error.message} (${errorCode(error)})`;
  }
  return error instanceof Error ? error.message : String(error);
}
