/**
 * An installation to be measured: a PostgreSQL with its defaults (fsync on), one `muster serve` process with
 * every role, and a signed release that names as many hosts as are wanted. Nothing of it is left afterwards.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import postgres from 'postgres';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/cli/dev/embedded-postgres.ts';
import { freePort } from '../src/cli/dev/free-port.ts';
import { developmentTrust, releaseOf } from '../src/cli/dev/release.ts';
import { oneWave } from '../test/e2e/support/one-wave.ts';
import { imageDefaults } from '../test/deploy/support/container.ts';
import { isReady, terminate } from '../test/support/serving.ts';

const SCHEMA = 'muster';
const REF = 'be9c4'.padEnd(40, '0');
/** Longer than any run: hosts report while they soak. */
const SOAK_SECONDS = 36_000;
const READY_WITHIN_MS = 60_000;
const LOG_CHARS = 20_000;

export interface Installation {
  /** Of every process that serves agents. */
  readonly ports: readonly number[];
  /** All `muster serve` processes. */
  readonly pids: readonly number[];
  readonly postgres: EmbeddedPostgres;
  readonly sql: postgres.Sql;
  close(): Promise<void>;
}

export interface InstallationOptions {
  readonly hosts: readonly string[];
  /** Roles of each process; default: one with all of them. */
  readonly processes?: readonly string[];
  /** How many may be on their way at once, and how long each soaks; default: all, and longer than any run. */
  readonly maxInFlight?: number;
  readonly soakSeconds?: number;
  /** A repository, built; default: the one that benchmarks are run from. */
  readonly repository?: string | null;
  /** Where each process leaves its CPU profile. */
  readonly profile?: string | null;
}

export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const dist = path.resolve(options.repository ?? '.', 'dist');
  const undo: (() => Promise<unknown>)[] = [];
  const started: { readonly port: number; readonly child: Served }[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const database = await startDatabase(dist);
    undo.push(() => database.close());
    const { dir, postgres: server, sql } = database;
    const { url } = server;
    const { key, trustFile } = developmentTrust(dir);
    const { hosts, maxInFlight, soakSeconds = SOAK_SECONDS } = options;
    const release = releaseOf(dir, oneWave(hosts, REF, soakSeconds, maxInFlight), key);
    await release.sign(Date.now());
    const sources = ['--source', release.source, '--trust-file', trustFile];
    const ports: number[] = [];
    const pids: number[] = [];
    for (const roles of options.processes ?? ['api,leader,workers']) {
      const flags = ['--roles', roles, ...sources];
      const port = await freePort();
      const child = startServe(dist, url, port, flags, options);
      undo.push(() => terminate(child.process));
      if (roles.includes('api')) ports.push(port);
      pids.push(child.process.pid ?? 0);
      started.push({ port, child });
    }
    for (const { port, child } of started) await untilReady(child, port);
    return { ports, pids, postgres: server, sql, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface Database {
  /** Where whatever belongs to it may lie; goes with it. */
  readonly dir: string;
  readonly postgres: EmbeddedPostgres;
  readonly sql: postgres.Sql;
  close(): Promise<void>;
}

/** A PostgreSQL with its defaults, migrated by the build in `dist`. */
export async function startDatabase(dist = path.resolve('dist')): Promise<Database> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-'));
  chmodSync(dir, 0o755); // as root, PostgreSQL runs as nobody
  const remove = (): void => {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  };
  // However the benchmark ends; PostgreSQL ends after us.
  process.once('exit', remove);
  const undo: (() => Promise<unknown>)[] = [
    () => {
      process.off('exit', remove);
      remove();
      return Promise.resolve();
    },
  ];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const server = await startEmbeddedPostgres({
      dataDir: path.join(dir, 'postgres'),
      ephemeral: true,
    });
    undo.push(() => server.stop('immediate'));
    execFileSync(process.execPath, [path.join(dist, 'cli/muster.js'), 'migrate'], {
      env: environment(server.url),
      stdio: 'ignore',
    });
    const sql = openEyes(server.url);
    undo.push(() => sql.end({ timeout: 1 }));
    return { dir, postgres: server, sql, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function openEyes(url: string): postgres.Sql {
  return postgres(url, {
    max: 1,
    onnotice: () => undefined,
    connection: { search_path: SCHEMA, application_name: 'bench:eyes' },
  });
}

interface Served {
  readonly process: ChildProcess;
  /** The end of what it logged. */
  readonly said: () => string;
}

export function environment(databaseUrl: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', MUSTER_DATABASE_URL: databaseUrl };
}

function startServe(
  dist: string,
  databaseUrl: string,
  port: number,
  flags: readonly string[],
  { profile = null }: InstallationOptions,
): Served {
  // Ends with us, however we end.
  const lifeline = pathToFileURL(path.join(dist, 'cli/dev/lifeline.js')).href;
  const profiling = profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const program = [...profiling, '--import', lifeline, path.join(dist, 'cli/muster.js')];
  // The image listens for its network; whoever a host says it is, is believed on loopback only.
  const listen = ['--listen-host', '127.0.0.1', '--listen-port', String(port)];
  const own = ['serve', '--dev-identity', ...listen];
  const child = spawn(
    process.execPath,
    [...program, ...own, '--drain-delay-seconds', '0', ...flags],
    {
      // As the image runs it.
      env: { ...imageDefaults().env, ...environment(databaseUrl) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  let said = '';
  const keep = (data: Buffer): void => {
    said = (said + data.toString()).slice(-LOG_CHARS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return { process: child, said: () => said };
}

async function untilReady({ process: child, said }: Served, port: number): Promise<void> {
  const until = Date.now() + READY_WITHIN_MS;
  while (!(await isReady(port))) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready:\n${said()}`);
    await delay(50);
  }
}
