/**
 * Muster's triggers: those that keep the log append only (`append-only.ts`), and those that keep one table equal to another.
 * Of the latter nobody notices by itself when one is gone: lists go on answering, with what was so before. Who owns a
 * table can drop or switch them off, and a restore that broke off may leave them so. Their text is that of the migration
 * that makes them.
 */
import { GUARDS } from './append-only.ts';
import type { Sql } from './driver.ts';
import { packagedMigrations, sqlOf, type Migration } from './migration-files.ts';
import type { Standing } from './standing.ts';

interface Keeper {
  readonly table: string;
  /** What it calls. */
  readonly function: string;
  /** As `pg_trigger.tgtype` has it. */
  readonly type: number;
  /** Makes it run once: what it keeps is again as it should be. */
  readonly renewal: string;
  /** For people. */
  readonly keeps: string;
}

const KEEPERS: Readonly<Record<string, Keeper>> = {
  artifact_declares_hosts: {
    table: 'artifact',
    function: 'declare_hosts',
    type: 21,
    renewal: "UPDATE artifact SET current = current WHERE kind = 'fleet' AND current;",
    keeps: 'which hosts the fleet declares',
  },
};

/** Names of all that migrations make. A test holds them to a migrated database. */
export const OWN_TRIGGERS: readonly string[] = [...Object.keys(GUARDS), ...Object.keys(KEEPERS)];

export interface LostTrigger {
  readonly name: string;
  /** `off` too where only a replica's sessions would run it; `changed`: it does something else. */
  readonly is: 'missing' | 'off' | 'changed';
}

/** Of a schema that is newer than this code, none: it may do without. What a pending migration makes is not lost. */
export async function readLostTriggers(
  sql: Sql,
  { pending, newer, known }: Standing,
): Promise<readonly LostTrigger[]> {
  if (newer.length > 0) return [];
  const migrations = packagedMigrations();
  const wanted = Object.entries(KEEPERS).flatMap(([name, keeper]) => {
    const { migration, body } = definitionOf(name, migrations);
    const isThere =
      known >= migration.version && !pending.some(({ version }) => version === migration.version);
    return isThere ? [{ ...keeper, name, body }] : [];
  });
  return sql<LostTrigger[]>`
    SELECT * FROM (
      SELECT wanted.name, CASE WHEN g.oid IS NULL THEN 'missing'
        WHEN g.tgtype <> wanted.type OR g.tgattr::text <> '' OR f.proname <> wanted.function
          OR f.pronamespace <> c.relnamespace
          OR btrim(regexp_replace(f.prosrc, '[[:space:]]+', ' ', 'g')) <> wanted.body THEN 'changed'
        WHEN g.tgenabled NOT IN ('O', 'A') THEN 'off' END AS is
      FROM json_to_recordset(${JSON.stringify(wanted)}::text::json)
        AS wanted (name text, "table" text, function text, type int, body text)
      JOIN pg_class c ON c.oid = to_regclass(wanted."table")
      LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = wanted.name
      LEFT JOIN pg_proc f ON f.oid = g.tgfoid
    ) AS found WHERE "is" IS NOT NULL
    ORDER BY name`;
}

/** Null: all are there. One sentence, with what mends it. */
export function lostTriggersProblem(lost: readonly LostTrigger[]): string | null {
  if (lost.length === 0) return null;
  const told = lost.map(({ name, is }) => {
    const { table = '', keeps = '' } = KEEPERS[name] ?? {};
    return `trigger ${name} on ${table} is ${is}, and ${keeps} is not kept any more`;
  });
  return `${told.join('; ')}: run "muster migrate" as the schema's login, which puts it back and renews what it keeps`;
}

/** Statements that put it back, whatever is left of it, for one transaction of the owner. */
export function triggerText({ name }: LostTrigger, schema: string): string {
  const { migration, text } = definitionOf(name, packagedMigrations());
  const renewal = KEEPERS[name]?.renewal ?? '';
  return [sqlOf({ ...migration, sql: text }, schema), renewal].join('\n\n');
}

interface Definition {
  readonly migration: Migration;
  /** Of the function and the trigger. */
  readonly text: string;
  /** What the function does, with single spaces. */
  readonly body: string;
}

/** In the newest migration that has it. */
function definitionOf(name: string, migrations: readonly Migration[]): Definition {
  const called = KEEPERS[name]?.function ?? '';
  const shape = new RegExp(
    `^CREATE OR REPLACE FUNCTION ${called}\\(\\)[^$]*\\$\\$([^$]*)\\$\\$;\\s+CREATE OR REPLACE TRIGGER ${name} [^;]*;`,
    'm',
  );
  for (const migration of [...migrations].reverse()) {
    const [text, body] = shape.exec(migration.sql) ?? [];
    if (text !== undefined && body !== undefined)
      return { migration, text, body: body.replaceAll(/\s+/g, ' ').trim() };
  }
  throw new Error(`no migration of this installation makes the trigger ${name}: install it anew`);
}
