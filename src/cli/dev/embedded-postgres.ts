/**
 * A real PostgreSQL server on 127.0.0.1, from binaries in node_modules: for `muster dev` and tests.
 *
 * States of a data directory: absent → initialised (in a sibling, then renamed: never half made)
 * → running → stopped or killed → running again, after crash recovery. Nothing here deletes the
 * data of a killed run, unless the server was started as `ephemeral`.
 *
 * Failure behaviour: a server that does not come up throws, with the end of its own log. If this
 * process dies, however it dies, a small watchdog (`postgres-watchdog.ts`) stops the server.
 * Fallback: as root, a data directory that `nobody` cannot reach is replaced by one that it can,
 * always the same for the same request, and the log says so.
 *
 * Layout of `dataDir`: `cluster/` (PGDATA), `password` (of the only user, `postgres`), `server.log`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import {
  findPostgresBinaries,
  isReachableByOthers,
  makeDirectories,
  SERVER_ENV,
  sharedBases,
  type PostgresBinaries,
} from './postgres-binaries.ts';
import { clearStaleLock, removeDeadSiblings } from './postgres-leftovers.ts';
import { startWatchdog, type Watchdog } from './postgres-watchdog.ts';
import { freePort } from './free-port.ts';

export interface EmbeddedPostgresOptions {
  /** Kept between runs; made if absent. */
  readonly dataDir: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Server settings, as in postgresql.conf; they win over the defaults here. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Delete the data when the server stops, or when this process dies. Default false. */
  readonly ephemeral?: boolean;
  readonly log?: (line: string) => void;
}

export type StopMode = 'fast' | 'immediate' | 'smart';

export interface EmbeddedPostgres {
  /** Superuser, database `postgres`; holds the password. */
  readonly url: string;
  readonly port: number;
  /** The postmaster. */
  readonly pid: number;
  /** The directory in use: the one asked for, or the fallback. */
  readonly dataDir: string;
  /** PGDATA. */
  readonly clusterDir: string;
  /** As the server says it: `18.4`. */
  readonly version: string;
  /** Resolves when the postmaster is gone, whoever ended it. */
  readonly exited: Promise<void>;
  /** Default: fast. Harder after 20 s. Safe to call twice. */
  stop(mode?: StopMode): Promise<void>;
  /** SIGKILL for the postmaster, as a crash would; the data stays, also if ephemeral. */
  kill9(): Promise<void>;
}

/** Crash recovery of a laptop's worth of WAL takes a second or two; a slow disk may need more. */
const READY_WITHIN_MS = 60_000;
/** Backends of a killed postmaster notice within milliseconds unless they are busy. */
const OLD_BACKENDS_GONE_WITHIN_MS = 15_000;
const HARDER_AFTER_MS = 20_000;
const POLL_MS = 25;
const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

interface Place {
  readonly dir: string;
  readonly cluster: string;
  readonly passwordFile: string;
  readonly logFile: string;
  readonly binaries: PostgresBinaries;
}

/** Starts a server on `dataDir`; resolves when it answers a query. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const binaries = findPostgresBinaries(log);
  const place = choosePlace(path.resolve(options.dataDir), binaries, log);
  const watchdog = startWatchdog(options.ephemeral === true ? place.dir : undefined);
  try {
    makeDirectories(place.dir, 0o755);
    if (!fs.existsSync(place.cluster)) await initialise(place, watchdog);
    await clearStaleLock(place.cluster, log);
    return await startWithRetries(place, options, watchdog);
  } catch (error) {
    if (options.ephemeral === true) fs.rmSync(place.dir, { recursive: true, force: true });
    watchdog.release();
    throw error;
  }
}

function choosePlace(wanted: string, binaries: PostgresBinaries, log: (l: string) => void): Place {
  let dir = wanted;
  if (binaries.runAs !== undefined && !isReachableByOthers(wanted)) {
    const [base] = sharedBases();
    if (base === undefined) {
      throw new Error(
        `User nobody, as whom PostgreSQL runs under root, cannot reach ${wanted}, and there is ` +
          'no other place to keep its data: choose a data directory that every user can reach.',
      );
    }
    const key = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
    dir = path.join(base, `data-${key}`);
    log(`user nobody cannot reach ${wanted}; PostgreSQL keeps its data in ${dir} instead`);
  }
  return {
    dir,
    cluster: path.join(dir, 'cluster'),
    passwordFile: path.join(dir, 'password'),
    logFile: path.join(dir, 'server.log'),
    binaries,
  };
}

/**
 * initdb into a sibling that is renamed when whole, so that a killed initdb leaves no half cluster.
 * Everything but the cluster stays ours: root must not write into a directory of `nobody`.
 */
async function initialise(place: Place, watchdog: Watchdog): Promise<void> {
  removeDeadSiblings(place.dir, 'init-');
  const work = path.join(place.dir, `init-${process.pid}`);
  const passwordFile = `${work}.password`;
  const { runAs, initdb } = place.binaries;
  fs.mkdirSync(work, { mode: 0o700 });
  fs.writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (runAs) {
    fs.chownSync(work, runAs.uid, runAs.gid);
    fs.chownSync(passwordFile, runAs.uid, runAs.gid);
  }
  const child = spawn(
    initdb,
    [`--pgdata=${work}`, '--username=postgres', '--auth=scram-sha-256']
      .concat([`--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C'])
      .concat(['--locale-provider=builtin', '--builtin-locale=C.UTF-8']),
    { cwd: '/', env: SERVER_ENV, detached: true, stdio: ['ignore', 'ignore', 'pipe'], ...runAs },
  );
  if (child.pid !== undefined) watchdog.serverIs(child.pid);
  const [said] = await Promise.all([text(child.stderr), once(child, 'close')]);
  watchdog.serverIsGone();
  if (child.exitCode !== 0) {
    fs.rmSync(work, { recursive: true, force: true });
    throw new Error(`initdb failed (${child.signalCode ?? `exit ${child.exitCode}`}): ${said}`);
  }
  if (runAs) fs.chownSync(passwordFile, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  fs.renameSync(passwordFile, place.passwordFile);
  fs.renameSync(work, place.cluster);
}

/** Two causes pass by themselves: backends of a killed postmaster, a port that was just taken. */
async function startWithRetries(
  place: Place,
  options: EmbeddedPostgresOptions,
  watchdog: Watchdog,
): Promise<EmbeddedPostgres> {
  const until = Date.now() + OLD_BACKENDS_GONE_WITHIN_MS;
  for (;;) {
    const port = options.port ?? (await freePort());
    const logFrom = fs.existsSync(place.logFile) ? fs.statSync(place.logFile).size : 0;
    const started = await startOnce(place, port, options, watchdog);
    if (started) return started;
    const said = fs.readFileSync(place.logFile, 'utf8').slice(logFrom).trim();
    const passes =
      said.includes('pre-existing shared memory block') ||
      (options.port === undefined && said.includes('could not bind'));
    if (!passes || Date.now() > until) {
      throw new Error(
        `PostgreSQL did not start on port ${port}. Its log, ${place.logFile}:\n${said}`,
      );
    }
    await delay(10 * POLL_MS);
  }
}

async function startOnce(
  place: Place,
  port: number,
  options: EmbeddedPostgresOptions,
  watchdog: Watchdog,
): Promise<EmbeddedPostgres | undefined> {
  const child = spawnServer(place, port, options.settings ?? {});
  const exited = once(child, 'exit').then(() => {
    watchdog.serverIsGone();
  });
  if (child.pid === undefined) throw new Error(`could not run ${place.binaries.postgres}`);
  watchdog.serverIs(child.pid);
  const password = fs.readFileSync(place.passwordFile, 'utf8');
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  if (!(await isReady(url, child))) {
    child.kill('SIGQUIT');
    await exited;
    return undefined;
  }
  const { dir: dataDir, cluster: clusterDir } = place;
  const stop = async (mode: StopMode = 'fast'): Promise<void> => {
    await end(child, exited, SIGNALS[options.ephemeral === true ? 'immediate' : mode]);
    if (options.ephemeral === true) fs.rmSync(dataDir, { recursive: true, force: true });
    watchdog.release();
  };
  const kill9 = async (): Promise<void> => {
    await end(child, exited, 'SIGKILL');
    if (options.ephemeral !== true) watchdog.release();
  };
  const { version } = place.binaries;
  return { url, port, pid: child.pid, dataDir, clusterDir, version, exited, stop, kill9 };
}

/** In a session of its own: a Ctrl-C at the terminal is for us, and we stop the server. */
function spawnServer(
  place: Place,
  port: number,
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'on',
    ...settings,
    port: String(port),
  };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const output = fs.openSync(place.logFile, 'a', 0o644);
  try {
    const child = spawn(place.binaries.postgres, ['-D', place.cluster, ...flags], {
      cwd: '/',
      env: SERVER_ENV,
      detached: true,
      stdio: ['ignore', output, output],
      ...place.binaries.runAs,
    });
    child.unref();
    return child;
  } finally {
    fs.closeSync(output);
  }
}

function isGone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Our password is known to our server only, so an answer is from it and nobody else. */
async function isReady(url: string, child: ChildProcess): Promise<boolean> {
  const until = Date.now() + READY_WITHIN_MS;
  while (!isGone(child) && Date.now() < until) {
    const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
    try {
      await sql`select 1`;
      return true;
    } catch {
      await delay(POLL_MS); // refused, or still starting up; the log has the cause if it never ends
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
  return false;
}

async function end(child: ChildProcess, exited: Promise<void>, signal: NodeJS.Signals) {
  child.ref(); // or Node finds nothing to wait for, and ends
  for (const next of [signal, 'SIGQUIT', 'SIGKILL'] as const) {
    if (isGone(child)) return;
    child.kill(next);
    const giveUp = new AbortController();
    await Promise.race([exited, delay(HARDER_AFTER_MS, undefined, giveUp).catch(() => undefined)]);
    giveUp.abort();
  }
}
