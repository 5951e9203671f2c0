/** Reading the log on, to fold it: always bounded, always in seq order. */
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
}

export async function readLog(sql: Sql, { after, limit }: LogQuery): Promise<LogRow[]> {
  const rows = await sql<TailRow[]>`
    SELECT seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor,
      caused_by AS "causedBy", payload
    FROM event_log WHERE seq > ${after} ORDER BY seq LIMIT ${limit}`;
  return rows.map((row) => ({ ...row, ...decodePayload(row.payload, row) }));
}
