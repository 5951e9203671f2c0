/**
 * A database of its own for each test file, on the run's one server.
 *
 *     const database = await createTestDatabase();   // at the top of the file, or in a hook
 *     const sql = postgres(database.url);
 *
 * It is a copy of the run's template (tens of milliseconds, copied file by file: through the WAL it takes four times
 * as long), and is dropped, with force, after the
 * file's last hook.
 */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';
import { TEST_SCHEMA } from './template.ts';

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** Where the migrated tables are; in an empty database they are not there yet. */
  readonly schema: string;
}

export interface TestDatabaseOptions {
  /** Nothing in it, not even the schema: for tests of the migrations. */
  readonly empty?: boolean;
}

const created: string[] = [];

/** A database is made in 50 ms: a statement that waits for so long says so, not a test whose time is up. */
const PATIENCE_MS = 15_000;

export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { serverUrl, prefix } = context();
  const name = `${prefix}_${randomBytes(6).toString('hex')}`;
  const template = options.empty === true ? 'template0' : `${prefix}_template`;
  await withServer(
    (sql) => sql`create database ${sql(name)} template ${sql(template)} strategy file_copy`,
  );
  created.push(name);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, name, schema: TEST_SCHEMA };
}

/** For the file's last hook (`after-file.ts`). */
export async function dropTestDatabases(): Promise<void> {
  const names = created.splice(0);
  if (names.length === 0) return;
  await withServer(async (sql) => {
    for (const name of names) await sql`drop database if exists ${sql(name)} with (force)`;
  });
}

function context(): { readonly serverUrl: string; readonly prefix: string } {
  const found = inject('testDatabases');
  if (found) return found;
  throw new Error('Tests of the `unit` project have no database: see vitest.config.ts.');
}

async function withServer(use: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const connection = { statement_timeout: PATIENCE_MS };
  const sql = postgres(context().serverUrl, { max: 1, onnotice: () => undefined, connection });
  try {
    await use(sql);
  } finally {
    await sql.end();
  }
}
