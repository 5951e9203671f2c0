/**
 * Whose transaction a session waits for, and its end where the owner is silent: a process that is frozen between a
 * statement's description and its execution. PostgreSQL counts that as work under way, so that neither
 * `idle_in_transaction_session_timeout` nor `statement_timeout` ends it, and its locks last as long as its sockets.
 */
import { ask, type As } from './as-login.ts';
import type { Sql } from './driver.ts';
import { OWN_APPLICATIONS } from './lock.ts';

export interface InTheWay {
  /** 0: of a prepared transaction, which has no session. */
  readonly pid: number;
  readonly application: string;
  /** It was one of ours that waited for its owner, and was ended; false: it is somebody else's, or works. */
  readonly ended: boolean;
  /** A commit that waits for a standby or a disk, of ours or of anybody: nobody is to end it. Null: of another login, which does not show. */
  readonly commits: boolean | null;
}

/**
 * To those who wait for a prepared transaction the server names nobody: it is one that holds a row (one of `line` waits for
 * its end), or a table that one of them asks for.
 */
const prepared = (sql: Sql) => sql`
  coalesce((SELECT 'prepared transaction ' || string_agg(quote_literal(gid), ', ' ORDER BY prepared)
   FROM pg_prepared_xacts p WHERE database = current_database() AND EXISTS (
     SELECT FROM pg_locks w JOIN line USING (pid) WHERE NOT w.granted AND (w.transactionid = p.transaction OR EXISTS (
       SELECT FROM pg_locks t JOIN pg_locks h USING (virtualtransaction)
       WHERE t.pid IS NULL AND t.transactionid = p.transaction AND t.granted AND h.granted AND h.pid IS NULL
         AND (h.database, h.relation) = (w.database, w.relation))))),
   'a prepared transaction that pg_prepared_xacts lists')`;

/**
 * Those that `waiting` selects, whom they wait for, and who of these waits for nobody, at last: for a row the server names those ahead in its queue first, such as
 * writers of terms that are over, whose end would change nothing.
 */
const ahead = (sql: Sql, waiting: ReturnType<Sql>) => sql`
  WITH RECURSIVE line (pid, is_ahead) AS (
    ${waiting}
    UNION SELECT b, true FROM line, unnest(pg_blocking_pids(pid)) AS b WHERE pid <> 0
  ), last AS (
    SELECT DISTINCT pid FROM line WHERE is_ahead AND (pid = 0 OR cardinality(pg_blocking_pids(pid)) = 0))`;

/** Of the session `a`: a process of Muster opened it. */
const isOurs = (sql: Sql) => sql.unsafe(`starts_with(a.application_name, '${OWN_APPLICATIONS}')`);

/** Of the session `a`: does the server let this login end it? */
const mayEnd = (
  sql: Sql,
) => sql`(pg_has_role(a.usesysid, 'usage') OR pg_has_role('pg_signal_backend', 'usage')
  AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = a.usesysid))`;

/** Logins that lead, and whose frozen transaction this one could not end: `endSilent` needs to see it, too. */
export async function untouchable(sql: Sql): Promise<readonly string[]> {
  const [asRole, asLogin] = [await untouchableAs(sql, 'role'), await untouchableAs(sql, 'login')];
  return asRole.filter((login) => asLogin.includes(login));
}

async function untouchableAs(sql: Sql, as: As): Promise<readonly string[]> {
  const rows = await ask<{ login: string }>(
    sql,
    as,
    sql`
      SELECT DISTINCT usename::text AS login FROM pg_stat_activity a
      WHERE datname = current_database() AND ${isOurs(sql)}
        AND application_name ~ ':(writer|leader-lock)$' AND NOT (${mayEnd(sql)}
          AND (pg_has_role(a.usesysid, 'usage') OR pg_has_role('pg_read_all_stats', 'usage')))
      ORDER BY 1`,
  );
  return rows.map(({ login }) => login);
}

/**
 * Sessions that the backend `pid` waits for. Only a silent one is ended: a commit on its way to a disk or to a standby is
 * left to itself, for its fate would be in doubt.
 */
export async function endSilent(sql: Sql, pid: number): Promise<readonly InTheWay[]> {
  const found = await endSilentAs(sql, pid, 'role');
  if (found.every(({ ended }) => ended)) return found;
  const again = new Map((await endSilentAs(sql, pid, 'login')).map((one) => [one.pid, one]));
  return found.map((one) => {
    const other = again.get(one.pid) ?? one;
    return other.ended || one.commits === null ? other : one;
  });
}

function endSilentAs(sql: Sql, pid: number, as: As): Promise<readonly InTheWay[]> {
  return ask<InTheWay>(
    sql,
    as,
    sql`
      ${ahead(sql, sql`SELECT ${sql.unsafe(String(pid))}, false`)}
      SELECT pid, coalesce(CASE WHEN pid = 0 THEN ${prepared(sql)} ELSE a.application_name END, '') AS application,
        CASE WHEN a.wait_event = 'ClientRead' AND ${isOurs(sql)} AND ${mayEnd(sql)}
          THEN pg_terminate_backend(pid) ELSE false END AS ended,
        CASE WHEN a.state IS NULL AND ${isOurs(sql)} THEN NULL
          ELSE coalesce(a.wait_event = 'SyncRep' OR a.state = 'active' AND ${isOurs(sql)}, false) END AS commits
      FROM last LEFT JOIN pg_stat_activity a USING (pid)`,
  );
}

export interface Blocker {
  /** 0: a prepared transaction. */
  readonly pid: number;
  /** Who it is, for people. */
  readonly who: string;
  /** A process or command of Muster's, such as a migration, or a commit that waits for a standby: nobody is to end it. */
  readonly ours: boolean;
}

/** A wait that is longer is no ordinary one: commits take milliseconds. */
const WAITS_SECS = 1;

/**
 * Strangers that sessions of ours wait for, of all processes, and that hold something of this installation. Readers give up
 * after two seconds and come again, so that there may be no wait to be seen: who locks them out is in the way all the same.
 */
export async function strangersInTheWay(sql: Sql): Promise<readonly Blocker[]> {
  const waitedFor = await strangersWaitedFor(sql);
  if (waitedFor.length > 0) return waitedFor;
  return (await tableLockers(sql, WAITS_SECS)).filter(({ ours }) => !ours);
}

async function strangersWaitedFor(sql: Sql): Promise<readonly Blocker[]> {
  const rows = await sql<Blocker[]>`
    ${ahead(
      sql,
      sql`
    SELECT pid, false FROM pg_stat_activity w
    WHERE w.datname = current_database() AND starts_with(w.application_name, ${OWN_APPLICATIONS})
      AND coalesce(clock_timestamp() - w.query_start > ${`${String(WAITS_SECS)} s`}::interval, true)`,
    )}
    SELECT pid, coalesce(CASE WHEN pid = 0 THEN ${prepared(sql)}
      ELSE format('session %s (%s, login %s)', pid, a.application_name, a.usename) END, '') AS who, false AS ours
    FROM last LEFT JOIN pg_stat_activity a USING (pid)
    WHERE (pid = 0 OR NOT starts_with(a.application_name, ${OWN_APPLICATIONS})
        AND a.wait_event IS DISTINCT FROM 'SyncRep')
      AND EXISTS (SELECT FROM pg_locks h JOIN pg_class c ON c.oid = h.relation
        WHERE h.granted AND h.pid IS NOT DISTINCT FROM nullif(last.pid, 0)
          AND c.relnamespace = current_schema()::regnamespace)
    ORDER BY pid`;
  return [...rows];
}

/** Who locks tables of this installation against everybody, readers too, in a transaction that is so many seconds old. */
export async function tableLockers(sql: Sql, heldSecs = 0): Promise<readonly Blocker[]> {
  const rows = await sql<Blocker[]>`
    SELECT DISTINCT coalesce(l.pid, 0) AS pid, CASE WHEN l.pid IS NULL THEN 'prepared transaction ' || quote_literal(p.gid)
      ELSE format('session %s (%s, login %s)', l.pid, a.application_name, a.usename) END AS who,
      coalesce(${isOurs(sql)} OR a.wait_event = 'SyncRep', false) AS ours
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a USING (pid)
      LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.virtualtransaction = l.virtualtransaction
        AND t.locktype = 'transactionid'
      LEFT JOIN pg_prepared_xacts p ON p.transaction = t.transactionid
    WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND coalesce(clock_timestamp() - coalesce(a.xact_start, p.prepared) > ${`${String(heldSecs)} s`}::interval, true)
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND c.relnamespace = current_schema()::regnamespace
    ORDER BY pid`;
  return [...rows];
}
