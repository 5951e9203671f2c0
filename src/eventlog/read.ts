/** Reading the log: a tail by seq, one rollout or one host in order. Always bounded, always in seq order. */
import type { Sql } from '../db/driver.ts';
import type { Change } from '../reducer/state/change.ts';
import { decodePayload } from '../wire/log.ts';
import type { TailRow } from './tail.ts';

export interface LogRow extends Omit<TailRow, 'payload'> {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly changes: readonly Change[];
}

export interface LogQuery {
  /** Rows above this seq; 0 is everything. */
  readonly after: number;
  readonly limit: number;
  readonly rolloutId?: string;
  readonly hostname?: string;
}

export async function readLog(sql: Sql, query: LogQuery): Promise<LogRow[]> {
  const rollout = query.rolloutId === undefined ? sql`` : sql`AND rollout_id = ${query.rolloutId}`;
  const host = query.hostname === undefined ? sql`` : sql`AND hostname = ${query.hostname}`;
  const rows = await sql<TailRow[]>`
    SELECT seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor,
      caused_by AS "causedBy", payload
    FROM event_log WHERE seq > ${query.after} ${rollout} ${host}
    ORDER BY seq LIMIT ${query.limit}`;
  return rows.map((row) => ({ ...row, ...decodePayload(row.payload, row) }));
}
