/** What `muster doctor` asks a database, in a few statements that change nothing. */
import type { Sql } from './driver.ts';
import { readHorizon, type Horizon } from './measure.ts';
import { schemaProblem, schemaStanding } from './standing.ts';

export interface Facts {
  /** As `server_version_num`. */
  readonly version: number;
  readonly recovering: boolean;
  /** The backend that answers, and the one that the connection was greeted by: a pooler invents the latter. */
  readonly backendPid: number;
  readonly greetedByPid: number | null;
  /** Server's clock minus ours; uncertain by half of `roundTripMs`. */
  readonly clockAheadMs: number;
  readonly roundTripMs: number;
  readonly horizon: Horizon;
  readonly fsync: boolean;
  readonly synchronousCommit: string;
  /** Empty: no standby is waited for. */
  readonly synchronousStandbys: string;
  readonly maxConnections: number;
  readonly connections: number;
  /** May the role read what identifies the cluster: a takeover must. */
  readonly seesControl: boolean;
  readonly seesOthers: boolean;
  /** Why this Muster may not work on the schema; null when it may. */
  readonly schemaProblem: string | null;
  /** Of the schema's tables; null while it is not there. */
  readonly rights: Rights | null;
}

export interface Rights {
  readonly enqueues: boolean;
  readonly leads: boolean;
}

/** On one dedicated session. `now` is our clock. */
export async function readFacts(sql: Sql, now: () => number): Promise<Facts> {
  const server = await readServer(sql);
  const clock = await readClock(sql, now);
  const horizon = await readHorizon(sql);
  const problem = schemaProblem(await schemaStanding(sql));
  return { ...server, ...clock, horizon, schemaProblem: problem, rights: await readRights(sql) };
}

type Server = Omit<Facts, 'clockAheadMs' | 'roundTripMs' | 'horizon' | 'schemaProblem' | 'rights'>;

async function readServer(sql: Sql): Promise<Server> {
  const rows = await sql<Omit<Server, 'greetedByPid'>[]>`
    SELECT current_setting('server_version_num')::int AS version,
      pg_is_in_recovery() AS recovering,
      pg_backend_pid() AS "backendPid",
      current_setting('fsync') = 'on' AS fsync,
      current_setting('synchronous_commit') AS "synchronousCommit",
      current_setting('synchronous_standby_names') AS "synchronousStandbys",
      current_setting('max_connections')::int AS "maxConnections",
      (SELECT count(*)::int FROM pg_stat_activity WHERE datid IS NOT NULL) AS connections,
      has_function_privilege('pg_control_system()', 'EXECUTE') AS "seesControl",
      pg_has_role('pg_read_all_stats', 'USAGE') AS "seesOthers"`;
  const [row] = rows;
  if (row === undefined) throw new Error('the server answered nothing');
  return { ...row, greetedByPid: rows.state.pid };
}

async function readClock(
  sql: Sql,
  now: () => number,
): Promise<Pick<Facts, 'clockAheadMs' | 'roundTripMs'>> {
  const before = now();
  const [row] = await sql<{ at: number }[]>`
    SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at`;
  const after = now();
  return { clockAheadMs: (row?.at ?? after) - (before + after) / 2, roundTripMs: after - before };
}

async function readRights(sql: Sql): Promise<Rights | null> {
  const [there] = await sql<{ found: boolean }[]>`
    SELECT to_regclass('input_queue') IS NOT NULL AND to_regclass('event_log') IS NOT NULL AS found`;
  if (there?.found !== true) return null;
  const [rights] = await sql<Rights[]>`
    SELECT has_table_privilege('input_queue', 'INSERT') AS enqueues,
      has_table_privilege('event_log', 'INSERT') AND has_table_privilege('epoch', 'UPDATE') AS leads`;
  return rights ?? null;
}
