/**
 * Sessions that the server keeps although nobody waits for their answers any more: a commit that hangs at a standby that
 * is away, or behind one that does, heeds no `statement_timeout` and does not notice that its socket was closed. One would
 * be left by each attempt, until no connection is left for anybody.
 */
import { ask } from './as-login.ts';
import type { Sql } from './driver.ts';
import { OWN_APPLICATIONS } from './lock.ts';

/** Longer than any statement of these may take: whose process has gone, too. */
const ORPHANED_MS = 65_000;
/** Pools of processes that serve; commands such as `muster migrate` wait for as long as they like. */
const OF_POOLS = ':(api|presence|enqueue|verdicts|commands|workers|leader)$';

const older = (sql: Sql, ms: number) =>
  sql.unsafe(`query_start < clock_timestamp() - ${String(ms)} * interval '1 millisecond'`);

const isOrphanOfPool = (sql: Sql) =>
  sql.unsafe(`starts_with(application_name, '${OWN_APPLICATIONS}')
    AND application_name ~ '${OF_POOLS}' AND wait_event IN ('SyncRep', 'object')`);

export interface Abandoned {
  /** Sessions that the server was asked to end; one that waits for a disk goes on. */
  readonly all: number;
  /** Of these, the namesakes. */
  readonly namesakes: number;
}

/**
 * Ends what this session's namesakes have run for longer than a caller waits, and what hangs of processes that are gone:
 * of their pools, not of leaders' writers, whose commits the next leader asks for. What they were about to commit is committed or is not: the
 * caller was told that it is unknown.
 */
export async function endAbandoned(
  sql: Sql,
  waitedMs: number,
  orphanedMs = ORPHANED_MS,
): Promise<Abandoned> {
  const rows = await ask<{ namesake: boolean }>(
    sql,
    'login',
    sql`
      WITH ours AS (
        SELECT pid, application_name = current_setting('application_name') AS namesake
        FROM pg_stat_activity
        WHERE usename = session_user AND datname = current_database() AND pid <> pg_backend_pid()
          AND state = 'active' AND CASE
            WHEN application_name = current_setting('application_name') THEN ${older(sql, waitedMs)}
            ELSE ${isOrphanOfPool(sql)} AND ${older(sql, orphanedMs)} END)
      SELECT namesake, pg_terminate_backend(pid) FROM ours`,
  );
  return { all: rows.length, namesakes: rows.filter(({ namesake }) => namesake).length };
}
