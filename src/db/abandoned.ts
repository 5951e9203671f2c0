/**
 * Sessions that the server keeps although nobody waits for their answers any more: a commit that hangs at a standby that
 * is away, or behind one that does, heeds no `statement_timeout` and does not notice that its socket was closed. One would
 * be left by each attempt, until no connection is left for anybody.
 */
import type { Sql } from './driver.ts';

/**
 * Ends what this session's namesakes have run for longer than a caller waits. What they were about to commit is committed
 * or is not: the caller was told that it is unknown.
 */
export async function endAbandoned(sql: Sql, waitedMs: number): Promise<void> {
  await sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = current_setting('application_name') AND usename = session_user
      AND datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
      AND query_start < clock_timestamp() - ${String(waitedMs)}::float8 * interval '1 millisecond'`;
}
