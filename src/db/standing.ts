/**
 * How the schema in the database stands to this code, and whether this code may work on it. The one place of
 * that rule, for the leader, readiness and `muster migrate --check`.
 *
 * The schema lacks a migration of ours: not before `muster migrate`. It has migrations that we do not know (a
 * newer Muster brought them, in a rolling upgrade): they only add, so we go on; unless one of them names an
 * oldest code that is newer than we are.
 */
import type { Sql } from './driver.ts';
import { packagedMigrations, type Migration } from './migration-files.ts';

export interface Standing {
  /** The schema is there, and this login may not look into it. */
  readonly hidden: boolean;
  /** Newest version in the database; null when it was never migrated. */
  readonly version: number | null;
  /** What this code wants and the schema lacks, in order. */
  readonly pending: readonly Migration[];
  /** Files that were applied with another text than ours. */
  readonly changed: readonly string[];
  /** What newer code applied. */
  readonly newer: readonly string[];
  /** Of those, what this code cannot live with. */
  readonly tooNew: readonly string[];
  /** Newest version that this code knows. */
  readonly known: number;
}

interface Applied {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly oldestCode: number;
}

/** Read once: an installation's files do not change under a process. */
let packaged: readonly Migration[] | undefined;

export async function schemaStanding(
  sql: Sql,
  migrations: readonly Migration[] = (packaged ??= packagedMigrations()),
): Promise<Standing> {
  const applied = await appliedMigrations(sql);
  const known = migrations.at(-1)?.version ?? 0;
  const at = new Map(applied.map((one) => [one.version, one]));
  return {
    // Asked only where nothing shows: a takeover and each look at readiness come by here.
    hidden: applied.length === 0 && (await isHidden(sql)),
    version: applied.at(-1)?.version ?? null,
    pending: migrations.filter(({ version }) => !at.has(version)),
    changed: migrations
      .filter(({ version, checksum }) => (at.get(version)?.checksum ?? checksum) !== checksum)
      .map(({ name }) => name),
    newer: applied.filter(({ version }) => version > known).map(({ name }) => name),
    tooNew: applied.filter(({ oldestCode }) => oldestCode > known).map(({ name }) => name),
    known,
  };
}

async function appliedMigrations(sql: Sql): Promise<readonly Applied[]> {
  const [there] = await sql<{ found: boolean }[]>`
    SELECT to_regclass('schema_migration') IS NOT NULL AS found`;
  if (there?.found !== true) return [];
  // Through json, because a schema that was not migrated yet lacks the column.
  return sql<Applied[]>`
    SELECT version, name, checksum, coalesce((to_json(m)->>'oldest_code')::integer, 0) AS "oldestCode"
    FROM schema_migration m ORDER BY version`;
}

/** Whether the schema is there and this login may not use it: its tables are then looked up as if they were not there. */
export async function isHidden(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ hidden: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM pg_namespace
      WHERE nspname = current_setting('search_path')
        AND NOT has_schema_privilege(oid, 'USAGE')) AS hidden`;
  return row?.hidden === true;
}

/**
 * Whether this login could add to the log what was never decided, as itself or as a role that it can become: the API's
 * should not.
 */
export async function mayWriteLog(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ may: boolean }[]>`
    SELECT bool_or(has_table_privilege(r.oid, 'event_log', 'INSERT')) AS may
    FROM pg_roles r WHERE pg_has_role(r.oid, 'MEMBER')`;
  return row?.may === true;
}

/**
 * Why nobody may lead on the log as it is; null where its end is there. Whoever led would begin it a second time, over the
 * state that the missing rows led to.
 */
export function logEndProblem(head: number, committed: number): string | null {
  return head >= committed
    ? null
    : `the log ends at row ${String(head)}, and rows up to ${String(committed)} were committed: attach what was detached, or restore a whole backup (docs/operations/no-leader.md)`;
}

/** The same, asked of a database. */
export async function readLogEndProblem(sql: Sql): Promise<string | null> {
  const [row] = await sql<{ head: number; committed: number }[]>`
    SELECT coalesce((SELECT max(seq) FROM event_log), 0) AS head,
      coalesce((SELECT head_seq FROM leader_progress), 0) AS committed`;
  return row === undefined ? null : logEndProblem(row.head, row.committed);
}

/** What a login needs that may not use the schema: a schema that was made anew without roles hides itself from all of them. */
export const SHOW =
  'run "muster migrate --roles" as the schema\'s login, or put this one into its role (docs/database-roles.md)';

/** Why this code may not work on that schema, with what to do; null when it may. */
export function schemaProblem(standing: Standing): string | null {
  const { hidden, version, pending, tooNew, known } = standing;
  if (tooNew.length > 0) {
    return `the schema is at version ${String(version)}, and ${tooNew.join(', ')} left this Muster's ${String(known)} behind: upgrade it`;
  }
  if (hidden) {
    return `the login of MUSTER_DATABASE_URL may not use the schema: ${SHOW}`;
  }
  if (version === null) return 'the schema is at version none: run "muster migrate"';
  if (pending.length === 0) return null;
  const lacks = pending.map(({ name }) => name).join(', ');
  return `the schema is at version ${String(version)} and lacks ${lacks}: run "muster migrate"`;
}
