/**
 * Snapshots: the derived tables as they were at one seq, read and stored in one transaction with that seq and
 * its hash. A replay starts from one, and retention detaches nothing above one that was folded and found
 * equal. They are copied from table to table inside PostgreSQL, so that they cost this process nothing.
 */
import type { Sql } from '../db/driver.ts';
import { millisOf } from '../reducer/time.ts';
import type { Start } from './replay.ts';
import { readRows } from './state.ts';
import { FAMILIES, recordset, selectList, type Table } from './tables.ts';

const FORMAT = 1;
/** Some 5 MB of text a part. */
const ROWS_PER_PART = 5_000;

/** Each family's part statement. */
const PARTS = Object.entries(FAMILIES).map(
  ([family, table]) => `INSERT INTO snapshot_part (seq, family, part, rows)
    SELECT $1::text::bigint, '${family}', n / ${ROWS_PER_PART}, json_agg(row_to_json(r)) FROM (
      SELECT (row_number() OVER () - 1)::integer AS n, s
      FROM (SELECT ${selectList(table)} FROM ${table.name}) s
    ) q (n, r) GROUP BY 3`,
);

/** In a REPEATABLE READ transaction of the caller's. Null: the log is empty, or this seq has one. */
export async function takeSnapshot(sql: Sql): Promise<number | null> {
  const [taken] = await sql<{ seq: number }[]>`
    INSERT INTO snapshot (seq, hash, ts, incarnation, format)
    SELECT l.seq, l.hash, l.ts, e.incarnation, ${FORMAT}
    FROM (SELECT seq, hash, ts FROM event_log ORDER BY seq DESC LIMIT 1) l, epoch e
    ON CONFLICT DO NOTHING RETURNING seq`;
  if (taken === undefined) return null;
  for (const part of PARTS) await sql.unsafe(part, [String(taken.seq)]);
  return taken.seq;
}

/** The newest snapshot there is, proven or not; null when there is none. */
export async function newestSnapshot(sql: Sql): Promise<number | null> {
  const [row] = await sql<{ seq: number | null }[]>`SELECT max(seq) AS seq FROM snapshot`;
  return row?.seq ?? null;
}

export interface ProvenBounds {
  readonly atLeast: number;
  readonly atMost: number;
}

/** The lowest and the newest snapshot within bounds that were folded and found equal: others may copy damage. */
export async function provenSnapshots(
  sql: Sql,
  { atLeast, atMost }: ProvenBounds,
): Promise<{ readonly lowest: number; readonly newest: number } | null> {
  const [row] = await sql<{ lowest: number | null; newest: number | null }[]>`
    SELECT min(seq) AS lowest, max(seq) AS newest FROM snapshot
    WHERE folds_equal AND seq >= ${atLeast} AND seq <= ${Math.min(atMost, Number.MAX_SAFE_INTEGER)}`;
  const { lowest = null, newest = null } = row ?? {};
  return lowest === null || newest === null ? null : { lowest, newest };
}

/** Throws when there is none of this seq. */
export async function loadSnapshot(sql: Sql, seq: number): Promise<Start> {
  const [found] = await sql<{ ts: string; hash: Buffer; format: number }[]>`
    SELECT ts, hash, format FROM snapshot WHERE seq = ${seq}`;
  if (found?.format !== FORMAT)
    throw new Error(`snapshot ${seq} is gone or of an unknown format: try again`);
  const { ts, hash } = found;
  const rows = await readRows({ headSeq: seq, lastTs: millisOf(ts) }, (family, table) =>
    readFamily(sql, seq, family, table),
  );
  return { rows, hash };
}

/** By their types, so that every value comes as the table itself would give it. */
async function readFamily<Row extends object>(
  sql: Sql,
  seq: number,
  family: string,
  table: Table<Row>,
): Promise<Row[]> {
  const columns = Object.keys(table.columns).map((field) => `r."${field}"`);
  const rows = await sql.unsafe<Row[]>(
    `SELECT ${columns.join(', ')} FROM snapshot_part p, ${recordset(table, 'p.rows')}
     WHERE p.seq = $1::text::bigint AND p.family = $2 ORDER BY p.part`,
    [String(seq), family],
  );
  return [...rows];
}
