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
  readonly url: URL;
  readonly clusterDir: string;
  readonly dataDir: string;
  /** For the bench's own eyes; as superuser, directly. */
  readonly sql: postgres.Sql;
  /** For checks that the product's code makes. */
  readonly pool: Pool;
  private server: EmbeddedPostgres;
  private readonly settings: Readonly<Record<string, string>>;

  private constructor(server: EmbeddedPostgres, settings: Readonly<Record<string, string>>) {
    this.server = server;
    this.settings = settings;
    this.url = new URL(server.url);
    this.dataDir = server.dataDir;
    this.clusterDir = server.clusterDir;
    this.sql = postgres(server.url, {
      max: 3,
      onnotice: () => undefined,
      connection: { search_path: SCHEMA, application_name: 'bench:eyes' },
    });
    const database = { url: server.url, schema: SCHEMA, name: 'bench' };
    this.pool = createPool(database, { role: 'check', max: 2, statementMs: CHECK_STATEMENT_MS });
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

  async close(): Promise<void> {
    await Promise.all([this.sql.end({ timeout: 1 }), this.pool.end()]);
    await this.server.stop('immediate');
  }
}
