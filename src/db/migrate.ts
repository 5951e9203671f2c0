/**
 * Brings a schema to the version this code knows: forward only, each file once, in one transaction each.
 *
 * Safe when several start at once: the first takes a session lock on (database, schema), the others wait
 * for it and then find nothing to do. A migration never waits long for a table (`lock_timeout`): a queue of
 * statements behind a waiting DDL would stop the product; it fails, which `isContended` tells, and is tried again
 * by whoever started it (`muster migrate` for a minute). A file that was applied and then changed is an error, not a
 * surprise.
 */
import { assertSchemaName, type DatabaseOptions, type Sql } from './driver.ts';
import { packagedMigrations, sqlOf, type Migration } from './migration-files.ts';
import { appliedPrefix, applyRoles, type RoleNames } from './roles.ts';
import { openSession, type Session } from './session.ts';
import { schemaStanding } from './standing.ts';
import { inTransaction } from './transaction.ts';

export interface MigrationOutcome {
  /** Names of the files applied by this call. */
  readonly applied: readonly string[];
  /** The schema's version now. */
  readonly version: number;
  /** The roles that the schema's objects were granted to; null: everything belongs to one login. */
  readonly roles: RoleNames | null;
}

export interface MigrateOptions {
  readonly migrations?: readonly Migration[];
  /** Make and grant the four roles under this prefix. Absent: renew what was granted before, if anything. */
  readonly rolePrefix?: string;
}

/**
 * Every statement on the table that comes later stands behind a waiting DDL: agents wait 2 s for a verdict and 10 s in
 * all, so that half a second delays answers and fails none.
 */
const LOCK_TIMEOUT = '500ms';
/** Waiting for another migrator, or rewriting a large table, may take minutes; then something is wrong. */
const DEADLINE_MS = 10 * 60_000;

export async function migrate(
  database: DatabaseOptions,
  options: MigrateOptions = {},
): Promise<MigrationOutcome> {
  const { migrations = packagedMigrations(), rolePrefix } = options;
  assertSchemaName(database.schema);
  const session = await openSession(database, {
    role: 'migrate',
    settings: { lock_timeout: '0' },
    deadlineMs: DEADLINE_MS,
  });
  try {
    await session.run(
      (sql) =>
        sql`SELECT pg_advisory_lock(hashtextextended(${`muster migrate ${database.schema}`}, 0))`,
    );
    const applied = await applyMissing(session, database.schema, migrations);
    return { ...applied, roles: await grant(session, database.schema, rolePrefix) };
  } finally {
    await session.end();
  }
}

async function applyMissing(
  session: Session,
  schema: string,
  migrations: readonly Migration[],
): Promise<Omit<MigrationOutcome, 'roles'>> {
  await session.run(async (sql) => {
    await sql`SELECT set_config('lock_timeout', ${LOCK_TIMEOUT}, false)`;
    await makeSchema(sql, schema);
    await sql`CREATE TABLE IF NOT EXISTS schema_migration (
      version    integer        NOT NULL PRIMARY KEY,
      name       text           NOT NULL,
      checksum   text           NOT NULL,
      applied_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
      oldest_code integer       NOT NULL DEFAULT 0
    )`;
    await addOldestCode(sql, schema);
    await sql`COMMENT ON TABLE schema_migration IS 'Which migrations were applied, and their SHA-256.'`;
  });
  const { version, pending, changed, known } = await session.run((sql) =>
    schemaStanding(sql, migrations),
  );
  if (changed.length > 0) {
    throw new Error(`${changed.join(', ')} was changed after it was applied to schema ${schema}`);
  }
  for (const migration of pending) await apply(session, schema, migration);
  return { applied: pending.map(({ name }) => name), version: Math.max(version ?? 0, known) };
}

/** For schemas from before the column. Asked first: ALTER TABLE would wait for every reader each time. */
async function addOldestCode(sql: Sql, schema: string): Promise<void> {
  const [found] = await sql<{ there: boolean }[]>`
    SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_schema = ${schema}
      AND table_name = 'schema_migration' AND column_name = 'oldest_code') AS there`;
  if (found?.there !== true) {
    await sql`ALTER TABLE schema_migration ADD COLUMN IF NOT EXISTS oldest_code integer NOT NULL DEFAULT 0`;
  }
  await sql`COMMENT ON COLUMN schema_migration.oldest_code
    IS 'Code that knows no migration as new as this one may not work on the schema any more; 0: any may.'`;
}

/** Asked first: CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there. */
async function makeSchema(sql: Sql, schema: string): Promise<void> {
  const [found] = await sql<{ there: boolean }[]>`
    SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${schema}) AS there`;
  if (found?.there !== true) await sql`CREATE SCHEMA IF NOT EXISTS ${sql(schema)}`;
}

/** After every migration, since each may bring tables. */
async function grant(
  session: Session,
  schema: string,
  wanted: string | undefined,
): Promise<RoleNames | null> {
  const prefix = wanted ?? (await session.run((sql) => appliedPrefix(sql, schema)));
  if (prefix === null) return null;
  return inTransaction(session, (sql) => applyRoles(sql, schema, prefix));
}

async function apply(session: Session, schema: string, migration: Migration): Promise<void> {
  await inTransaction(session, async (sql) => {
    await sql.unsafe(sqlOf(migration, schema));
    await sql`INSERT INTO schema_migration (version, name, checksum, oldest_code)
      VALUES (${migration.version}, ${migration.name}, ${migration.checksum}, ${migration.oldestCode})`;
    if (migration.oldestCode > 0) await deposeLeader(sql);
  });
}

/** Whoever leads must ask again whether it may: its next commit fails at the fence, and so its term ends. */
async function deposeLeader(sql: Sql): Promise<void> {
  await sql`UPDATE epoch SET epoch = epoch + 1`;
}
