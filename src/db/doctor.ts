/** What `muster doctor` asks a database, in a few statements that change nothing. */
import { readUnguarded, unguardedProblem } from './append-only.ts';
import type { Sql } from './driver.ts';
import { strangersInTheWay, tableLockers, untouchable, type Blocker } from './in-the-way.ts';
import { lockHolders, type LockHolders } from './lock.ts';
import { isContended, isDenied } from './errors.ts';
import { readHorizon, readLogAhead, type Horizon } from './measure.ts';
import { notificationsHeld, oldestInTransaction, type Holder } from './notifications.ts';
import { readRights, uncallable, type Rights } from './rights.ts';
import { readRooms, type Room } from './rooms.ts';
import { readShape, type Shape } from './shape.ts';
import { isHidden, readLogEndProblem, schemaProblem, schemaStanding } from './standing.ts';

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
  readonly notifications: Notifications;
  /** Whom sessions of ours wait for, and have for a second; or who locks what is to be looked at. */
  readonly inTheWay: readonly Blocker[];
  /** Logins of leaders whose sessions this login may not end. */
  readonly untouchable: readonly string[];
  /** What a session of this login begins with: milliseconds until its transaction is ended, whatever it does; 0: for ever. */
  readonly transactionMs: number;
  readonly fsync: boolean;
  readonly fullPages: boolean;
  readonly vacuums: boolean;
  /** Does the server tell what sessions do. */
  readonly tracks: boolean;
  readonly synchronousCommit: string;
  /** Empty: no standby is waited for. */
  readonly synchronousStandbys: string;
  /** Standbys that commits can be confirmed by now; null when the role may not see it. */
  readonly confirmingStandbys: number | null;
  readonly rooms: readonly Room[];
  /** Of the database, such as `UTF8`. */
  readonly encoding: string;
  /** Functions that identify the cluster, and that the role may not call. */
  readonly uncallable: readonly string[];
  /** May the role write the mark by which a commit is tried: what confirms commands, and readiness. */
  readonly marks: boolean;
  readonly seesOthers: boolean;
  /** May the role use the schema; true while there is none. */
  readonly schemaUsable: boolean;
  /** Why this Muster may not work on the schema; null when it may, or when the role may not look. */
  readonly schemaProblem: string | null;
  /** What lets the event log be changed; null when nothing does, or there is none. */
  readonly logProblem: string | null;
  /** Which rows the log lacks at its end; null when none, or when it was not looked at. */
  readonly logEnd: string | null;
  /** Seconds by which its newest row is later than the server's clock; 0 too when it was not looked at. */
  readonly logAhead: number;
  /** Of the schema's tables; null while it is not there, or may not be used. */
  readonly rights: Rights | null;
  readonly locks: LockHolders;
  /** Seconds for which the oldest input has waited; 0: none waits, or the role may not see it. */
  readonly waits: number;
  /** Null: not looked at, since the schema is hidden or of another version. */
  readonly shape: Shape | null;
}

export interface Notifications {
  /** How full their queue is, 0 … 1; null where the login may not ask. */
  readonly held: number | null;
  /** Who may hold it; null where the login may not see that. */
  readonly holder: Holder | null;
}

/** On one dedicated session. `now` is our clock. */
export async function readFacts(sql: Sql, schema: string, now: () => number): Promise<Facts> {
  const server = await readServer(sql);
  const clock = await readClock(sql, now);
  const horizon = await readHorizon(sql);
  const notifications = await readNotifications(sql);
  return {
    ...server,
    ...clock,
    horizon,
    notifications,
    inTheWay: await strangersInTheWay(sql),
    untouchable: await untouchable(sql),
    ...(await readUnlocked(sql, schema)),
  };
}

/** Nothing is known of tables that somebody locks, but who he is. */
async function readUnlocked(
  sql: Sql,
  schema: string,
): Promise<OfSchema & Partial<Pick<Facts, 'inTheWay'>>> {
  try {
    return await readSchema(sql, schema);
  } catch (error) {
    if (!isContended(error)) throw error;
    const inTheWay = await tableLockers(sql);
    // He has let go meanwhile: whoever asks again will see it.
    if (inTheWay.length === 0) throw error;
    return { ...UNSEEN, schemaUsable: true, logProblem: null, inTheWay };
  }
}

type OfSchema = Pick<
  Facts,
  | 'schemaUsable'
  | 'schemaProblem'
  | 'logProblem'
  | 'logEnd'
  | 'logAhead'
  | 'rights'
  | 'locks'
  | 'waits'
  | 'shape'
>;

const UNSEEN = {
  schemaProblem: null,
  logEnd: null,
  logAhead: 0,
  rights: null,
  locks: { leader: null, workers: null },
  waits: 0,
  shape: null,
} as const;

async function readSchema(sql: Sql, schema: string): Promise<OfSchema> {
  const schemaUsable = !(await isHidden(sql));
  const logProblem = unguardedProblem(schema, await readUnguarded(sql));
  if (!schemaUsable) return { ...UNSEEN, schemaUsable, logProblem };
  const rights = await readRights(sql, schema);
  const blind =
    rights?.lacksToServe.includes('SELECT on schema_migration') === true ||
    rights?.veiled.includes('schema_migration') === true;
  const standing = blind ? null : await schemaStanding(sql);
  const problem = standing === null ? null : schemaProblem(standing);
  const locks = await lockHolders(sql);
  const shape = standing === null || problem !== null ? null : await readShape(sql, standing);
  const isWhole = shape?.missing.length === 0;
  const ofLog = isWhole ? await readLog(sql) : NOTHING_OF_LOG;
  return { schemaUsable, schemaProblem: problem, logProblem, ...ofLog, rights, locks, shape };
}

/** A right that is missing, or a policy in the way, is a finding of its own. */
async function readLog(sql: Sql): Promise<Pick<Facts, 'logEnd' | 'logAhead' | 'waits'>> {
  try {
    return {
      logEnd: await readLogEndProblem(sql),
      logAhead: await readLogAhead(sql),
      waits: await readWaits(sql),
    };
  } catch (error) {
    if (!isDenied(error)) throw error;
    return NOTHING_OF_LOG;
  }
}

const NOTHING_OF_LOG = { logEnd: null, logAhead: 0, waits: 0 } as const;

async function readWaits(sql: Sql): Promise<number> {
  const [row] = await sql<{ waits: number }[]>`
    SELECT extract(epoch FROM clock_timestamp() - enqueued_at)::float8 AS waits
    FROM input_queue ORDER BY id LIMIT 1`;
  return row?.waits ?? 0;
}

async function readNotifications(sql: Sql): Promise<Notifications> {
  try {
    return { held: await notificationsHeld(sql), holder: await oldestInTransaction(sql) };
  } catch (error) {
    if (!isDenied(error)) throw error;
    return { held: null, holder: null };
  }
}

/** What a session gets that asks for nothing: the processes' sessions are so. */
export async function writesNothing(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ reads: boolean }[]>`
    SELECT current_setting('default_transaction_read_only')::boolean AS reads`;
  return row?.reads === true;
}

type Server = Omit<
  Facts,
  | 'clockAheadMs'
  | 'roundTripMs'
  | 'horizon'
  | 'notifications'
  | 'inTheWay'
  | 'untouchable'
  | keyof OfSchema
>;

async function readServer(sql: Sql): Promise<Server> {
  const rows = await sql<Omit<Server, 'greetedByPid' | 'rooms' | 'uncallable'>[]>`
    SELECT current_setting('server_version_num')::int AS version,
      pg_is_in_recovery() AS recovering,
      pg_backend_pid() AS "backendPid",
      coalesce((SELECT reset_val::int FROM pg_settings WHERE name = 'transaction_timeout'), 0) AS "transactionMs",
      current_setting('fsync') = 'on' AS fsync,
      current_setting('full_page_writes') = 'on' AS "fullPages",
      current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on' AS vacuums,
      current_setting('track_activities') = 'on' AS "tracks",
      current_setting('synchronous_commit') AS "synchronousCommit",
      current_setting('synchronous_standby_names') AS "synchronousStandbys",
      CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN (SELECT count(*)::int
        FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) END AS "confirmingStandbys",
      current_setting('server_encoding') AS encoding,
      -- Its arguments are others since 17.
      (SELECT bool_or(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc WHERE proname = 'pg_logical_emit_message'
        AND prorettype = 'pg_lsn'::regtype AND 'text'::regtype = proargtypes[2]) AS marks,
      pg_has_role('pg_read_all_stats', 'USAGE') AS "seesOthers"`;
  const [row] = rows;
  if (row === undefined) throw new Error('the server answered nothing');
  return {
    ...row,
    greetedByPid: rows.state.pid,
    rooms: await readRooms(sql),
    uncallable: await uncallable(sql),
  };
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
