/** Writing the derived tables anew from a folded state: for the day when they are in doubt and the log is not. */
import type { Sql } from '../db/driver.ts';
import { COLUMNS } from '../db/shape.ts';
import type { TouchedRows } from '../reducer/state/touched.ts';
import type { StateRows } from '../reducer/state/state.ts';
import { FAMILIES } from './tables.ts';
import { writeTouched } from './write-tables.ts';

/** In the caller's transaction, whose session holds the leader's lock: nobody else writes meanwhile. */
export async function rebuildTables(sql: Sql, rows: StateRows): Promise<void> {
  // Whoever writes reads this row first, and waits.
  await sql`SELECT 1 FROM epoch FOR UPDATE`;
  // What nobody proved may be a copy of the tables that are in doubt.
  await sql`DELETE FROM snapshot WHERE folds_equal IS NOT TRUE`;
  for (const { name } of Object.values(FAMILIES)) await sql.unsafe(`DELETE FROM ${name}`);
  const { fleet, channels, rollouts, records, hosts, dispatches } = rows;
  const { quarantines, probeFailures, blockers, tokens, enrolments } = rows;
  const touched: TouchedRows = {
    ...{ fleet, channels, rollouts, records, reports: [], hosts, dispatches },
    ...{ quarantines, probeFailures, blockers, tokens, enrolments },
    removed: {
      ...{ dispatches: [], blockers: [], quarantines: [], probeFailures: [] },
      ...{ tokens: [], enrolments: [], pruned: [] },
    },
  };
  for (const statement of writeTouched(sql, touched)) await statement();
}

/** Columns of the derived tables, as `host.hold`, that this version does not know: written anew, they would be empty. */
export async function unknownColumns(sql: Sql): Promise<string[]> {
  const known = Object.values(FAMILIES).map(({ name }) => [name, COLUMNS[name]]);
  const rows = await sql<{ name: string }[]>`
    SELECT t.name || '.' || a.attname AS name
    FROM json_each_text(${JSON.stringify(Object.fromEntries(known))}::text::json) AS t (name, columns)
    JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND a.attnum > 0 AND NOT a.attisdropped
    WHERE NOT a.attname::text = ANY (string_to_array(t.columns, ' ')) ORDER BY 1`;
  return rows.map(({ name }) => name);
}
