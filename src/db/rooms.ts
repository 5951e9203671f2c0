/** How many sessions the server, the database and the login allow, and how many there are. */
import type { Sql } from './driver.ts';

export interface Room {
  readonly of: 'server' | 'database' | 'login';
  readonly limit: number;
  readonly taken: number;
}

/** A superuser's sessions are held to the server's limit alone, and to no reserve. */
export async function readRooms(sql: Sql): Promise<readonly Room[]> {
  return sql<Room[]>`
    WITH me AS (SELECT oid, rolsuper, rolconnlimit FROM pg_roles WHERE rolname = session_user),
      sessions AS (SELECT datid, usesysid FROM pg_stat_activity WHERE datid IS NOT NULL)
    SELECT 'server' AS of, current_setting('max_connections')::int - CASE WHEN rolsuper THEN 0
        ELSE current_setting('superuser_reserved_connections')::int
          + coalesce(current_setting('reserved_connections', true), '0')::int END AS limit,
      (SELECT count(*)::int FROM sessions) AS taken FROM me
    UNION ALL
    SELECT 'database', datconnlimit, (SELECT count(*)::int FROM sessions WHERE datid = d.oid)
    FROM pg_database d, me WHERE datname = current_database() AND datconnlimit >= 0 AND NOT rolsuper
    UNION ALL
    SELECT 'login', rolconnlimit, (SELECT count(*)::int FROM sessions WHERE usesysid = me.oid)
    FROM me WHERE rolconnlimit >= 0 AND NOT rolsuper`;
}
