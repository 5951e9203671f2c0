/** Reading the log: a tail by seq, one rollout or one host in order. Always bounded, always in seq order. */
import type { Sql } from '../db/driver.ts';
import type { LogKind } from '../reducer/log.ts';
import type { Change } from '../reducer/state/change.ts';
import type { Time } from '../reducer/time.ts';
import { decodePayload } from '../wire/log.ts';

export interface LogRow {
  readonly seq: number;
  readonly ts: Time;
  readonly epoch: number;
  readonly kind: LogKind;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  readonly channel: string | null;
  readonly actor: string | null;
  readonly causedBy: number | null;
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

interface StoredRow extends Omit<LogRow, 'payload' | 'changes'> {
  readonly payload: unknown;
}

export async function readLog(sql: Sql, query: LogQuery): Promise<LogRow[]> {
  const rollout = query.rolloutId === undefined ? sql`` : sql`AND rollout_id = ${query.rolloutId}`;
  const host = query.hostname === undefined ? sql`` : sql`AND hostname = ${query.hostname}`;
  const rows = await sql<StoredRow[]>`
    SELECT seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor,
      caused_by AS "causedBy", payload
    FROM event_log WHERE seq > ${query.after} ${rollout} ${host}
    ORDER BY seq LIMIT ${query.limit}`;
  return rows.map((row) => ({ ...row, ...decodePayload(row.payload, row) }));
}
