/**
 * Does the database itself keep the log append only? Triggers of the log, of each partition and of what was detached
 * refuse every change; who owns a table can switch them off, and a restore that broke off may leave them so. The catalog
 * shows it to any login.
 */
import type { Sql } from './driver.ts';

export interface Unguarded {
  readonly table: string;
  readonly trigger: string;
  /** `session`: it is skipped where a session sets session_replication_role. */
  readonly is: 'missing' | 'off' | 'session';
}

const WHEN: Readonly<Record<string, string>> = {
  event_log_no_change: 'BEFORE UPDATE OR DELETE ON %s FOR EACH ROW',
  event_log_no_truncate: 'BEFORE TRUNCATE ON %s FOR EACH STATEMENT',
};

/** Empty: nothing can be changed; or the log is not there, or hidden. */
export async function readUnguarded(sql: Sql): Promise<readonly Unguarded[]> {
  return sql<Unguarded[]>`
    SELECT c.relname AS "table", wanted.name AS trigger, CASE WHEN g.oid IS NULL THEN 'missing'
      WHEN g.tgenabled = 'D' THEN 'off' ELSE 'session' END AS is
    FROM pg_class c
    CROSS JOIN json_array_elements_text(${JSON.stringify(Object.keys(WHEN))}::text::json) AS wanted (name)
    LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = wanted.name
    WHERE c.relnamespace = to_regnamespace(current_setting('search_path'))
      AND c.relkind IN ('r', 'p') AND c.relname ~ '^event_log(_(detached_)?p[0-9]+)?$'
      AND g.tgenabled IS DISTINCT FROM 'A'
    ORDER BY length(c.relname), c.relname, wanted.name`;
}

/** Null: all is guarded. One sentence, with the statements that mend it. */
export function unguardedProblem(schema: string, found: readonly Unguarded[]): string | null {
  if (found.length === 0) return null;
  const [first] = found;
  const tables = new Set(found.map(({ table }) => table)).size;
  const more = tables > 1 ? ` and ${String(tables - 1)} more tables` : '';
  const steps = mending(schema, found).join('; ');
  return `the event log can be changed: triggers that refuse it are off or missing on ${first?.table ?? ''}${more}. Ask who did that, mend it as the owner (${steps}), then run "muster log verify"`;
}

/** A partition's row trigger is the log's own, and follows it. */
function mending(schema: string, found: readonly Unguarded[]): string[] {
  const ofLog = new Set(
    found.filter(({ table }) => table === 'event_log').map(({ trigger }) => trigger),
  );
  return found
    .filter(
      ({ table, trigger }) =>
        !(isPartition(table) && trigger === 'event_log_no_change' && ofLog.has(trigger)),
    )
    .flatMap(({ table, trigger, is }) => {
      const name = `${schema}.${table}`;
      const when = (WHEN[trigger] ?? '').replace('%s', name);
      return [
        ...(is === 'missing'
          ? [`CREATE TRIGGER ${trigger} ${when} EXECUTE FUNCTION ${schema}.event_log_append_only()`]
          : []),
        `ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${trigger}`,
      ];
    });
}

function isPartition(table: string): boolean {
  return /^event_log_p\d+$/.test(table);
}
