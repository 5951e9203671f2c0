/** The derived tables as one consistent set of rows: what a leader loads at takeover. */
import type { Sql } from '../db/driver.ts';
import { emptyFleetRow, type StateRows } from '../reducer/state/state.ts';
import { millisOf } from '../reducer/time.ts';
import {
  BLOCKER,
  CHANNEL,
  DISPATCH,
  FLEET,
  HOST,
  PROBE_FAILURE,
  QUARANTINE,
  RECORD,
  ROLLOUT,
  selectList,
  type Table,
} from './tables.ts';

async function all<Row extends object>(sql: Sql, table: Table<Row>): Promise<Row[]> {
  return [...(await sql.unsafe<Row[]>(`SELECT ${selectList(table)} FROM ${table.name}`))];
}

/**
 * Runs inside the caller's transaction, which must see one snapshot (REPEATABLE READ). Rejects on any
 * database error: an error is never an empty state.
 */
export async function loadState(sql: Sql): Promise<StateRows> {
  const head = await readHead(sql);
  const [fleet] = await all(sql, FLEET);
  return {
    headSeq: head.seq,
    lastTs: head.ts === null ? 0 : millisOf(head.ts),
    fleet: fleet ?? emptyFleetRow(),
    channels: await all(sql, CHANNEL),
    rollouts: await all(sql, ROLLOUT),
    records: await all(sql, RECORD),
    hosts: await all(sql, HOST),
    dispatches: await all(sql, DISPATCH),
    quarantines: await all(sql, QUARANTINE),
    probeFailures: await all(sql, PROBE_FAILURE),
    blockers: await all(sql, BLOCKER),
  };
}

export interface Head {
  /** 0 before the first row. */
  readonly seq: number;
  readonly ts: string | null;
  /** The last row's; null before the first. */
  readonly hash: Buffer | null;
}

export async function readHead(sql: Sql): Promise<Head> {
  const [row] = await sql<{ seq: number; ts: string; hash: Buffer }[]>`
    SELECT seq, ts, hash FROM event_log ORDER BY seq DESC LIMIT 1`;
  return row ?? { seq: 0, ts: null, hash: null };
}
