/** The bench's own PostgreSQL: it may be stopped, killed and started again without harm to anybody else. */
import postgres from 'postgres';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type StopMode,
} from '../../../../src/cli/dev/embedded-postgres.ts';
import { createPool, type Pool } from '../../../../src/db/pool.ts';
import { migrate } from '../../../../src/db/migrate.ts';

export const SCHEMA = 'muster';
/** Checking a long log reads pages of it. */
const CHECK_STATEMENT_MS = 60_000;

export class BenchDatabase {
  /** For the bench's own eyes; as superuser, directly. */
  sql: postgres.Sql;
  /** For checks that the product's code makes. */
  pool: Pool;
  readonly settings: Readonly<Record<string, string>>;
  private server: EmbeddedPostgres;
  /** Servers that were in its place before. */
  private readonly earlier: EmbeddedPostgres[] = [];

  private constructor(server: EmbeddedPostgres, settings: Readonly<Record<string, string>>) {
    this.server = server;
    this.settings = settings;
    this.sql = look(server);
    this.pool = checkingPool(server);
  }

  get url(): URL {
    return new URL(this.server.url);
  }

  get clusterDir(): string {
    return this.server.clusterDir;
  }

  get dataDir(): string {
    return this.server.dataDir;
  }

  /** A new cluster, or the one that lies there. */
  static async start(
    dataDir: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<BenchDatabase> {
    const all = { max_connections: '100', ...settings };
    return new BenchDatabase(await startEmbeddedPostgres({ dataDir, settings: all }), all);
  }

  async migrate(): Promise<void> {
    await migrate({ url: this.url.href, schema: SCHEMA, name: 'bench' });
  }

  get port(): number {
    return Number(this.url.port);
  }

  async stop(mode: StopMode): Promise<void> {
    await this.server.stop(mode);
  }

  async kill9(): Promise<void> {
    await this.server.kill9();
  }

  /** Resolves when it is gone by itself. */
  get exited(): Promise<void> {
    return this.server.exited;
  }

  async startAgain(): Promise<void> {
    const { dataDir, port, settings } = this;
    this.server = await startEmbeddedPostgres({ dataDir, port, settings });
  }

  /** Another server takes its place: a promoted standby. */
  async moveTo(server: EmbeddedPostgres): Promise<void> {
    await this.closeEyes();
    this.earlier.push(this.server);
    this.server = server;
    this.sql = look(server);
    this.pool = checkingPool(server);
  }

  async close(): Promise<void> {
    await this.closeEyes();
    for (const server of [this.server, ...this.earlier]) await server.stop('immediate');
  }

  private async closeEyes(): Promise<void> {
    await Promise.all([this.sql.end({ timeout: 1 }), this.pool.end()]);
  }
}

function look({ url }: EmbeddedPostgres): postgres.Sql {
  return postgres(url, {
    max: 3,
    onnotice: () => undefined,
    connection: { search_path: SCHEMA, application_name: 'bench:eyes' },
  });
}

function checkingPool({ url }: EmbeddedPostgres): Pool {
  const database = { url, schema: SCHEMA, name: 'bench' };
  return createPool(database, { role: 'check', max: 2, statementMs: CHECK_STATEMENT_MS });
}
