/**
 * Brings a schema to the version this code knows: forward only, each file once, in one transaction each.
 *
 * Safe when several start at once: the first takes a session lock on (database, schema), the others wait
 * for it and then find nothing to do. A migration never waits long for a table (`lock_timeout`): a queue of
 * statements behind a waiting DDL would stop the product; it fails, which `isContended` tells, and is tried again
 * by whoever started it (`muster migrate` for a minute). A file that was applied and then changed is an error, not a
 * surprise.
 */
import { assertSchemaName, type DatabaseOptions } from './driver.ts';
import { packagedMigrations, type Migration } from './migration-files.ts';
import { DEADLINE_MS, lockText, preparationText, stepText } from './migration-script.ts';
import { readLostTriggers, triggerText } from './own-triggers.ts';
import { mayHandOver, readOwnerGaps } from './owners.ts';
import { applyRoles, gapsSentence, whatToGrant } from './role-step.ts';
import { quoted } from './role-script.ts';
import { tableOwner, type RoleNames } from './roles.ts';
import { settingsProblem } from './path.ts';
import { openSession, type Session } from './session.ts';
import { schemaStanding, type Standing } from './standing.ts';
import { inTransaction } from './transaction.ts';

export interface MigrationOutcome {
  /** Names of the files applied by this call. */
  readonly applied: readonly string[];
  /** Statements by which this call handed to the owner what others held. */
  readonly handedOver: readonly string[];
  /** Triggers that this call put back. */
  readonly putBack: readonly string[];
  /** The schema's version now. */
  readonly version: number;
  /** The roles that the schema's objects were granted to; null: everything belongs to one login. */
  readonly roles: RoleNames | null;
  /** What is in the schemas and not Muster's: neither given away nor granted. */
  readonly strangers: readonly string[];
  /** Migrations that this code does not know: owners and grants are left to the version that brought them. */
  readonly leftTo: readonly string[];
}

export interface MigrateOptions {
  readonly migrations?: readonly Migration[];
  /** Make and grant the four roles under this prefix. Absent: renew what was granted before, if anything. */
  readonly rolePrefix?: string;
}

/** Waiting for another migrator takes as long as it may work; a frozen one holds up the others for half a minute. */
const SETTINGS = { lock_timeout: '0', idle_session_timeout: '30s' };

export async function migrate(
  database: DatabaseOptions,
  options: MigrateOptions = {},
): Promise<MigrationOutcome> {
  const { migrations = packagedMigrations(), rolePrefix } = options;
  assertSchemaName(database.schema);
  const session = await openSession(database, {
    role: 'migrate',
    settings: SETTINGS,
    deadlineMs: DEADLINE_MS,
  });
  try {
    // Before anything is made, which would be made elsewhere than where it is looked for.
    const problem = await session.run(settingsProblem);
    if (problem !== null) throw new Error(problem);
    await session.run((sql) => sql.unsafe(lockText(database.schema)));
    const { standing, ...applied } = await applyMissing(session, database.schema, migrations);
    const granted = await grant(session, database.schema, rolePrefix ?? null, standing);
    return { ...applied, ...granted };
  } finally {
    await session.end();
  }
}

type Applied = Pick<MigrationOutcome, 'applied' | 'handedOver' | 'putBack' | 'version'>;

async function applyMissing(
  session: Session,
  schema: string,
  migrations: readonly Migration[],
): Promise<Applied & { readonly standing: Standing }> {
  await session.run((sql) => sql.unsafe(preparationText(schema)));
  const standing = await session.run((sql) => schemaStanding(sql, migrations));
  const { version, pending, changed, known } = standing;
  if (changed.length > 0) {
    throw new Error(`${changed.join(', ')} was changed after it was applied to schema ${schema}`);
  }
  const handedOver = await handOver(session, schema, standing);
  const lost = await session.run((sql) => readLostTriggers(sql, standing));
  const texts = [
    ...pending.map((migration) => stepText(migration, schema)),
    ...lost.map((trigger) => triggerText(trigger, schema)),
  ];
  if (texts.length > 0) {
    await becomeOwner(session, schema);
    for (const text of texts) await inTransaction(session, (sql) => sql.unsafe(text));
    await session.run((sql) => sql`RESET ROLE`);
  }
  const applied = pending.map(({ name }) => name);
  const putBack = lost.map(({ name }) => name);
  return { applied, handedOver, putBack, version: Math.max(version ?? 0, known), standing };
}

/**
 * What a migration makes belongs to whoever runs it, and an administrator's tables would be of no use to the owner: with
 * roles too they are handed over only at the end, which a run may not reach.
 */
async function becomeOwner(session: Session, schema: string): Promise<void> {
  const owner = await session.run((sql) => tableOwner(sql, schema));
  if (owner !== null) await session.run((sql) => sql.unsafe(`SET ROLE ${quoted(owner)}`));
}

/** Before migrations, which run as the owner. A newer schema's owners are left to the version that brought it. */
async function handOver(
  session: Session,
  schema: string,
  standing: Standing,
): Promise<readonly string[]> {
  if (standing.newer.length > 0) return [];
  const gaps = await session.run((sql) => readOwnerGaps(sql, schema));
  if (gaps.statements.length === 0) return [];
  if (!(await session.run((sql) => mayHandOver(sql, gaps))))
    throw new Error(gapsSentence(gaps, standing));
  await inTransaction(session, (sql) => sql.unsafe(gaps.statements.join(';\n')));
  return gaps.statements;
}

/** After every migration, since each may bring tables. */
async function grant(
  session: Session,
  schema: string,
  wanted: string | null,
  standing: Standing,
): Promise<Pick<MigrationOutcome, 'roles' | 'strangers' | 'leftTo'>> {
  const { prefix, leftTo } = await session.run((sql) => whatToGrant(sql, schema, wanted, standing));
  if (prefix === null) return { roles: null, strangers: [], leftTo };
  const { names, strangers } = await inTransaction(session, (sql) =>
    applyRoles(sql, schema, prefix),
  );
  return { roles: names, strangers, leftTo };
}
