/** Writing the derived tables anew from a folded state: for the day when they are in doubt and the log is not. */
import type { Sql } from '../db/driver.ts';
import type { TouchedRows } from '../reducer/state/rows-io.ts';
import type { StateRows } from '../reducer/state/state.ts';
import { writeTouched } from './tables.ts';

const DERIVED = [
  ...['fleet', 'channel', 'rollout', 'host_rollout', 'host', 'dispatch', 'quarantine'],
  ...['probe_failure', 'host_blocker'],
];

/** In the caller's transaction, whose session holds the leader's lock: nobody else writes meanwhile. */
export async function rebuildTables(sql: Sql, rows: StateRows): Promise<void> {
  // Whoever writes reads this row first, and waits.
  await sql`SELECT 1 FROM epoch FOR UPDATE`;
  for (const table of DERIVED) await sql.unsafe(`DELETE FROM ${table}`);
  const { fleet, channels, rollouts, records, hosts, dispatches } = rows;
  const { quarantines, probeFailures, blockers } = rows;
  const touched: TouchedRows = {
    ...{ fleet, channels, rollouts, records, hosts, dispatches },
    ...{ quarantines, probeFailures, blockers },
    removed: { dispatches: [], blockers: [], quarantines: [], probeFailures: [], pruned: [] },
  };
  for (const statement of writeTouched(sql, touched)) await statement();
}
