/**
 * What is done to a schema, as text: `migrate` runs it, and `muster migrate --plan` prints it for those who let nobody
 * but an administrator change a database. One source, so that what is printed is what would run.
 */
import { sqlOf, type Migration } from './migration-files.ts';
import { triggerText, type LostTrigger } from './own-triggers.ts';
import { quoted, rolesText, viewSchema } from './role-script.ts';
import type { RoleStep } from './role-step.ts';

/**
 * Every statement on the table that comes later stands behind a waiting DDL: agents wait 2 s for a verdict and 10 s in
 * all, so that half a second delays answers and fails none.
 */
const LOCK_TIMEOUT = '500ms';

/**
 * A migrator that is frozen (a paused machine, a laptop's lid) keeps its connection, and with it the locks of a migration
 * that is not committed: every agent waits. Ours pauses for milliseconds between statements; agents are patient for 10 s.
 */
const IDLE_TIMEOUT = '5s';

/** Rewriting a large table may take minutes; then something is wrong, and whoever began it may not be there to say so. */
export const DEADLINE_MS = 10 * 60_000;

/** One migrator of a schema at a time; without a timeout, since another's work may take minutes. */
export function lockText(schema: string): string {
  return `SELECT pg_advisory_lock(${lockKey(schema)});`;
}

function lockKey(schema: string): string {
  return `hashtextextended('muster migrate ${schema}', 0)`;
}

/** The schema and the list of what was applied, unless they are there. Changes nothing on a second run. */
export function preparationText(schema: string): string {
  return `SET lock_timeout = '${LOCK_TIMEOUT}';
SET idle_in_transaction_session_timeout = '${IDLE_TIMEOUT}';
SET statement_timeout = ${String(DEADLINE_MS)};
DO $$ BEGIN
  -- PostgreSQL 17 and newer.
  PERFORM set_config(name, '${String(DEADLINE_MS)}', false) FROM pg_settings WHERE name = 'transaction_timeout';
END $$;
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_get_keywords() WHERE word = '${schema}' AND catcode IN ('R', 'T')) THEN
    RAISE EXCEPTION 'schema % cannot be: the name is a word of SQL; give MUSTER_SCHEMA another', quote_ident('${schema}');
  END IF;
  IF (SELECT count(*) < 2 FROM pg_namespace WHERE nspname IN ('${schema}', '${viewSchema(schema)}'))
    AND NOT has_database_privilege(current_database(), 'CREATE') THEN
    RAISE EXCEPTION 'login % may make no schema in this database; let who owns the database run: GRANT CREATE ON DATABASE % TO %',
      session_user, quote_ident(current_database()), quote_ident(current_user);
  END IF;
  -- Asked first: CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there.
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '${schema}') THEN
    CREATE SCHEMA IF NOT EXISTS "${schema}";
  END IF;
  IF NOT has_schema_privilege('${schema}', 'USAGE') THEN
    RAISE EXCEPTION 'schema ${schema} is there, and login % may not use it: migrate as the login that owns it, or as a superuser',
      session_user;
  END IF;
END $$;
CREATE TABLE IF NOT EXISTS schema_migration (
  version    integer        NOT NULL PRIMARY KEY,
  name       text           NOT NULL,
  checksum   text           NOT NULL,
  applied_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  oldest_code integer       NOT NULL DEFAULT 0
);
DO $$ BEGIN
  -- For schemas from before the column. Asked first: ALTER TABLE would wait for every reader each time.
  IF NOT EXISTS (SELECT FROM information_schema.columns WHERE table_schema = '${schema}'
      AND table_name = 'schema_migration' AND column_name = 'oldest_code') THEN
    ALTER TABLE schema_migration ADD COLUMN IF NOT EXISTS oldest_code integer NOT NULL DEFAULT 0;
  END IF;
END $$;
COMMENT ON TABLE schema_migration IS 'Which migrations were applied, and their SHA-256.';
COMMENT ON COLUMN schema_migration.oldest_code
  IS 'Code that knows no migration as new as this one may not work on the schema any more; 0: any may.';`;
}

/** One migration and its record, for one transaction. */
export function stepText(migration: Migration, schema: string): string {
  const { version, name, checksum, oldestCode } = migration;
  const values = [version, literal(name), literal(checksum), oldestCode].join(', ');
  return [
    ended(sqlOf(migration, schema)),
    `INSERT INTO schema_migration (version, name, checksum, oldest_code)\n  VALUES (${values});`,
    ...(oldestCode > 0 ? [DEPOSE_LEADER] : []),
  ].join('\n\n');
}

/** Whoever leads must ask again whether it may: its next commit fails at the fence, and so its term ends. */
const DEPOSE_LEADER = 'UPDATE epoch SET epoch = epoch + 1;';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function ended(sql: string): string {
  const text = sql.trimEnd();
  return text.endsWith(';') ? text : `${text}\n;`;
}

export interface Work {
  readonly pending: readonly Migration[];
  /** Triggers to put back. */
  readonly lost: readonly LostTrigger[];
  /** Statements that hand over what others hold, as whoever runs the script. */
  readonly handOver: readonly string[];
  /** Whom what is new will belong to; null: to whoever runs the script. */
  readonly owner: string | null;
  /** Null: the roles are not in use. */
  readonly roles: RoleStep | null;
}

/** All of it, for psql as it stands; null: there is nothing to do. */
export function scriptOf(schema: string, work: Work): string | null {
  const { pending, lost, handOver, owner, roles } = work;
  const granting = roles !== null && (pending.length > 0 || roles.differences.length > 0);
  if (pending.length + lost.length + handOver.length === 0 && !granting) return null;
  const steps = [
    ...pending.map((step) => [step.name, stepText(step, schema)] as const),
    ...lost.map((trigger) => [`put back: ${trigger.name}`, triggerText(trigger, schema)] as const),
  ].map(([name, text]) => `-- ${name}\nBEGIN;\n${text}\nCOMMIT;`);
  return [
    beginning(schema),
    ...(handOver.length === 0 ? [] : [handOverText(handOver)]),
    ...(owner === null ? [] : [`SET ROLE ${quoted(owner)};`]),
    preparationText(schema),
    ...steps,
    ...(granting ? [roleStepText(schema, roles)] : []),
    ending(schema),
  ].join('\n\n');
}

/** As whoever runs the script: what belongs to somebody else is theirs to give, not the owner's. */
function roleStepText(schema: string, step: RoleStep): string {
  const told = step.differences.map((text) => `--   ${text}`);
  return [
    '-- Owners and grants. What is not so yet:',
    ...told,
    `RESET ROLE;\nBEGIN;\n${rolesText(schema, step)}\nCOMMIT;`,
  ].join('\n');
}

function handOverText(statements: readonly string[]): string {
  const text = statements.map((one) => `${one};`).join('\n');
  return `-- To whom the rest belongs.\nSET lock_timeout = '${LOCK_TIMEOUT}';\nBEGIN;\n${text}\nCOMMIT;`;
}

function beginning(schema: string): string {
  return `-- Schema ${schema}, for psql as it stands. It stops at the first failure; what was committed before stays: print the
-- plan again for the rest. "muster migrate" afterwards finds nothing to do.
\\set ON_ERROR_STOP on

SET search_path = "${schema}";
${lockText(schema)}`;
}

/** For a session that goes on. */
function ending(schema: string): string {
  const set = ['lock_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout'];
  const reset = [...set, 'search_path', 'role'].map((name) => `RESET ${name};`);
  return [
    `SELECT pg_advisory_unlock(${lockKey(schema)});`,
    ...reset,
    `DO $$ BEGIN
  PERFORM set_config(name, reset_val, false) FROM pg_settings WHERE name = 'transaction_timeout';
END $$;`,
  ].join('\n');
}
