/**
 * Which history of its cluster a server goes on with. A standby that is promoted and a backup that is restored begin another
 * one before they take the first write, so that it tells them from the server that they stand in for.
 */
import type { Sql } from './driver.ts';

/** An expression. A standby has none of its own yet: it fails there (55000). */
export const timeline = (sql: Sql) =>
  sql`('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint`;
