/**
 * Whose transaction a session waits for, and its end where the owner is silent: a process that is frozen between a
 * statement's description and its execution. PostgreSQL counts that as work under way, so that neither
 * `idle_in_transaction_session_timeout` nor `statement_timeout` ends it, and its locks last as long as its sockets.
 */
import type { Sql } from './driver.ts';
import { OWN_APPLICATIONS } from './lock.ts';

export interface InTheWay {
  readonly pid: number;
  readonly application: string;
  /** It was one of ours that waited for its owner, and was ended; false: it is somebody else's, or works. */
  readonly ended: boolean;
}

/**
 * Sessions that the backend `pid` waits for. Only a silent one is ended: a commit on its way to a disk or to a standby is
 * left to itself, for its fate would be in doubt.
 */
export async function endSilent(sql: Sql, pid: number): Promise<readonly InTheWay[]> {
  return sql<InTheWay[]>`
    SELECT a.pid, coalesce(a.application_name, '') AS application,
      CASE WHEN a.wait_event = 'ClientRead' AND starts_with(a.application_name, ${OWN_APPLICATIONS})
          AND pg_has_role(a.usesysid, 'usage')
        THEN pg_terminate_backend(a.pid) ELSE false END AS ended
    FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids(${pid}))`;
}
