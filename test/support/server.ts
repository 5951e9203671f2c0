/**
 * The one database server of a test run: the one that MUSTER_TEST_DATABASE_URL names, else a
 * container where a Docker engine answers, else the embedded one.
 */
import { chmodSync, existsSync, mkdtempSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { PostgreSqlContainer, type StartedPostgreSqlContainer } from '@testcontainers/postgresql';
import postgres from 'postgres';
import { getContainerRuntimeClient } from 'testcontainers';
import { startEmbeddedPostgres } from '../../src/cli/dev/embedded-postgres.ts';

export interface TestServer {
  /** May create databases. */
  readonly url: string;
  /** For people: `embedded PostgreSQL 18.4 on 127.0.0.1:40001`. */
  readonly about: string;
  stop(): Promise<void>;
}

const IMAGE = 'postgres:18';
const SETTINGS = {
  /** Two workers, each with the pools of a few replicas, and the replicas that tests start. */
  max_connections: '300',
  /** It lies in memory where it can. */
  max_wal_size: '256MB',
};

/**
 * Where it can, the data lies in memory: thousands of commits would wait for the disk, and what must survive a crash is
 * tried on servers of its own. A database takes 10 MB, and a run makes some 150.
 */
const MEMORY = '/dev/shm';
const LEAST_BYTES = 4 * 1024 ** 3;

export async function startTestServer(scratchDir: string): Promise<TestServer> {
  const url = process.env['MUSTER_TEST_DATABASE_URL'];
  if (url) {
    const about = `PostgreSQL ${await versionOf(url)} from MUSTER_TEST_DATABASE_URL`;
    return { url, about, stop: () => Promise.resolve() };
  }
  if (await dockerAnswers()) {
    try {
      return await startInDocker();
    } catch (error) {
      // An engine that cannot pull (no network) is no reason to test nothing.
      console.log(`test database: Docker answers, but ${IMAGE} does not start: ${String(error)}`);
    }
  }
  return startEmbedded(scratchDir);
}

async function dockerAnswers(): Promise<boolean> {
  try {
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false; // it throws one error for every way in which there is no engine
  }
}

async function startInDocker(): Promise<TestServer> {
  const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const container = await new PostgreSqlContainer(IMAGE)
    .withCommand(['postgres', ...flags])
    .withTmpFs({ '/var/lib/postgresql': 'rw' })
    .start();
  const url = container.getConnectionUri();
  const about = `PostgreSQL ${await versionOf(url)} in Docker (${IMAGE})`;
  return { url, about, stop: () => stopContainer(container) };
}

async function stopContainer(container: StartedPostgreSqlContainer): Promise<void> {
  await container.stop();
}

async function startEmbedded(scratchDir: string): Promise<TestServer> {
  const server = await startEmbeddedPostgres({
    dataDir: inMemory() ?? path.join(scratchDir, 'postgres'),
    settings: SETTINGS,
    ephemeral: true,
    log: (line) => {
      console.log(`test database: ${line}`);
    },
  });
  const about = `embedded PostgreSQL ${server.version} on 127.0.0.1:${server.port}`;
  return { url: server.url, about, stop: () => server.stop() };
}

function inMemory(): string | null {
  if (!existsSync(MEMORY)) return null;
  const { bavail, bsize } = statfsSync(MEMORY);
  if (bavail * bsize < LEAST_BYTES) return null;
  const dir = mkdtempSync(path.join(MEMORY, 'muster-test-'));
  chmodSync(dir, 0o755); // as root, PostgreSQL runs as nobody
  return dir;
}

async function versionOf(url: string): Promise<string> {
  const sql = postgres(url, { max: 1, connect_timeout: 10 });
  try {
    const [row] = await sql<{ server_version: string }[]>`show server_version`;
    return row?.server_version.split(' ')[0] ?? 'of unknown version';
  } finally {
    await sql.end();
  }
}
