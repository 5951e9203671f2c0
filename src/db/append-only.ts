/**
 * Does the database itself keep the log append only? Triggers of the log, of each partition and of what was detached
 * refuse every change; who owns a table can switch them off, or have them call what refuses nothing, and a restore that broke
 * off may leave them so. The catalog shows it to any login.
 */
import type { Sql } from './driver.ts';

export interface Unguarded {
  readonly table: string;
  /** Of the trigger, or of the function that all of them call. */
  readonly name: string;
  /** `session`: it is skipped where a session sets session_replication_role; `changed`: it does something else. */
  readonly is: 'missing' | 'off' | 'session' | 'changed';
}

interface Guard {
  readonly when: string;
  /** As `pg_trigger.tgtype` has it. */
  readonly type: number;
}

/** Triggers of the log; `own-triggers.ts` has the others. */
export const GUARDS: Readonly<Record<string, Guard>> = {
  event_log_no_change: { when: 'BEFORE UPDATE OR DELETE ON %s FOR EACH ROW', type: 27 },
  event_log_no_truncate: { when: 'BEFORE TRUNCATE ON %s FOR EACH STATEMENT', type: 34 },
};
const REFUSES = 'event_log_append_only';
/** As its migration has it, but for the width of its spaces. */
const REFUSAL = `BEGIN RAISE EXCEPTION '% of %.% refused: the event log is append only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege', HINT = 'Old partitions are detached by the retention worker, never edited.'; END`;

/** Empty: nothing can be changed; or the log is not there, or hidden. */
export async function readUnguarded(sql: Sql): Promise<readonly Unguarded[]> {
  return [...(await changedTriggers(sql)), ...(await changedFunction(sql))];
}

async function changedTriggers(sql: Sql): Promise<readonly Unguarded[]> {
  const guards = Object.entries(GUARDS).map(([name, { type }]) => ({ name, type }));
  return sql<Unguarded[]>`
    SELECT * FROM (
      SELECT c.relname AS "table", wanted.name, CASE WHEN g.oid IS NULL THEN 'missing'
        WHEN g.tgtype <> wanted.type OR g.tgqual IS NOT NULL OR g.tgattr::text <> ''
          OR f.proname <> ${REFUSES} OR f.pronamespace <> c.relnamespace THEN 'changed'
        WHEN g.tgenabled = 'D' THEN 'off' WHEN g.tgenabled <> 'A' THEN 'session' END AS is
      FROM pg_class c
      CROSS JOIN json_to_recordset(${JSON.stringify(guards)}::text::json) AS wanted (name text, type int)
      LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = wanted.name
      LEFT JOIN pg_proc f ON f.oid = g.tgfoid
      WHERE c.relnamespace = to_regnamespace(current_setting('search_path'))
        AND c.relkind IN ('r', 'p') AND c.relname ~ '^event_log(_(detached_)?p[0-9]+)?$'
    ) AS found WHERE "is" IS NOT NULL
    ORDER BY length("table"), "table", name`;
}

async function changedFunction(sql: Sql): Promise<readonly Unguarded[]> {
  return sql<Unguarded[]>`
    SELECT 'event_log' AS "table", proname AS name, 'changed' AS is
    FROM pg_proc
    WHERE pronamespace = to_regnamespace(current_setting('search_path')) AND proname = ${REFUSES}
      AND btrim(regexp_replace(prosrc, '[[:space:]]+', ' ', 'g')) <> ${REFUSAL}`;
}

/** Null: all is guarded. One sentence, with the statements that mend it. */
export function unguardedProblem(schema: string, found: readonly Unguarded[]): string | null {
  if (found.length === 0) return null;
  const [first] = found;
  const tables = new Set(found.map(({ table }) => table)).size;
  const more = tables > 1 ? ` and ${String(tables - 1)} more tables` : '';
  const steps = mending(schema, found).join('; ');
  return `the event log can be changed: triggers that refuse it are off, missing or changed on ${first?.table ?? ''}${more}. Ask who did that, mend it as the owner (${steps}), then run "muster log verify"`;
}

/** A partition's row trigger is the log's own, and follows it. */
function mending(schema: string, found: readonly Unguarded[]): string[] {
  const ofLog = new Set(found.filter(({ table }) => table === 'event_log').map(({ name }) => name));
  return found
    .filter(
      ({ table, name }) =>
        !(isPartition(table) && name === 'event_log_no_change' && ofLog.has(name)),
    )
    .flatMap((one) => (one.name === REFUSES ? [mendedFunction(schema)] : mended(schema, one)));
}

function mendedFunction(schema: string): string {
  return `CREATE OR REPLACE FUNCTION ${schema}.${REFUSES}() RETURNS trigger LANGUAGE plpgsql AS $$${REFUSAL}$$`;
}

function mended(schema: string, { table, name: trigger, is }: Unguarded): string[] {
  const name = `${schema}.${table}`;
  const when = (GUARDS[trigger]?.when ?? '').replace('%s', name);
  const make = `CREATE TRIGGER ${trigger} ${when} EXECUTE FUNCTION ${schema}.${REFUSES}()`;
  return [
    ...(is === 'changed' ? [`DROP TRIGGER ${trigger} ON ${name}`] : []),
    ...(is === 'changed' || is === 'missing' ? [make] : []),
    `ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${trigger}`,
  ];
}

function isPartition(table: string): boolean {
  return /^event_log_p\d+$/.test(table);
}
