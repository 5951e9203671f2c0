/**
 * A streaming standby of the bench's PostgreSQL, copied without pg_basebackup (the embedded server has none). What
 * it receives passes a proxy, so that it can be made to lag.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../../../src/cli/dev/embedded-postgres.ts';
import { startProxy, type DatabaseProxy } from '../wire/proxy.ts';
import type { BenchDatabase } from './database.ts';

const NAME = 'standby';
const STREAMS_WITHIN_MS = 30_000;

export class Standby {
  readonly server: EmbeddedPostgres;
  /** Between the primary and this: hold it, and the standby lags. */
  readonly feed: DatabaseProxy;

  private constructor(server: EmbeddedPostgres, feed: DatabaseProxy) {
    this.server = server;
    this.feed = feed;
  }

  /** Streams when this resolves; `synchronous`: from then on the primary's commits wait for it. */
  static async start(primary: BenchDatabase, dir: string, synchronous: boolean): Promise<Standby> {
    const feed = await startProxy(primary.port);
    await copyCluster(primary, dir);
    const settings = { ...primary.settings, primary_conninfo: connection(primary.url, feed.port) };
    const server = await startEmbeddedPostgres({ dataDir: dir, settings });
    await until(primary.sql, 'streaming');
    if (synchronous) {
      await primary.sql.unsafe(`ALTER SYSTEM SET synchronous_standby_names = '${NAME}'`);
      await primary.sql`SELECT pg_reload_conf()`;
      await until(primary.sql, 'sync');
    }
    return new Standby(server, feed);
  }

  /** It takes writes when this resolves. */
  async promote(): Promise<void> {
    const sql = postgres(this.server.url, { max: 1 });
    await sql`SELECT pg_promote(true, 30)`;
    await sql.end();
  }

  async close(): Promise<void> {
    await this.feed.close();
    await this.server.stop('immediate');
  }
}

/** Without TLS and GSS, whose requests the proxy does not read. */
function connection(url: URL, port: number): string {
  const password = decodeURIComponent(url.password);
  const off = 'sslmode=disable gssencmode=disable';
  return `host=127.0.0.1 port=${port} user=${url.username} password=${password} application_name=${NAME} ${off}`;
}

/** An online copy: between start and stop of a backup files may change while they are copied. */
async function copyCluster(primary: BenchDatabase, dir: string): Promise<void> {
  const cluster = path.join(dir, 'cluster');
  fs.mkdirSync(dir, { mode: 0o755 });
  const session = postgres(primary.url.href, { max: 1 });
  try {
    await session`SELECT pg_backup_start(${NAME}, true)`;
    execFileSync('cp', ['-a', primary.clusterDir, cluster]);
    const [made] = await session<{ label: string }[]>`
      SELECT labelfile AS label FROM pg_backup_stop(false)`;
    writeAsOwner(cluster, 'backup_label', made?.label ?? '');
  } finally {
    await session.end();
  }
  fs.rmSync(path.join(cluster, 'postmaster.pid'), { force: true });
  writeAsOwner(cluster, 'standby.signal', '');
  fs.copyFileSync(path.join(primary.dataDir, 'password'), path.join(dir, 'password'));
}

function writeAsOwner(cluster: string, name: string, text: string): void {
  const { uid, gid } = fs.statSync(cluster);
  const file = path.join(cluster, name);
  fs.writeFileSync(file, text, { mode: 0o600 });
  fs.chownSync(file, uid, gid);
}

async function until(sql: postgres.Sql, state: 'streaming' | 'sync'): Promise<void> {
  const before = performance.now() + STREAMS_WITHIN_MS;
  for (;;) {
    const rows = await sql`
      SELECT FROM pg_stat_replication
      WHERE application_name = ${NAME} AND ${state} IN (state, sync_state)`;
    if (rows.length > 0) return;
    if (performance.now() > before) throw new Error(`the standby is not ${state}`);
    await delay(20);
  }
}
