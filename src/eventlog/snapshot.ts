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
  const [row] = await sql<{ seq: number | null }[]>`
    SELECT max(seq) AS seq FROM snapshot WHERE format = ${FORMAT}`;
  return row?.seq ?? null;
}

/** How a snapshot's columns and this version's compare: another may have taken it. Fields as `hosts.hold`. */
export interface Columns {
  /** Which this version has and the snapshot has not: an older version took it. */
  readonly lacks: readonly string[];
  /** Which this version does not know: a newer one took it. */
  readonly beyond: readonly string[];
}

/**
 * A family without a row has no part, and lacks nothing; nor does one that whoever took the snapshot had no table for,
 * so who adds a family makes the format another one.
 */
export async function snapshotColumns(sql: Sql, seq: number): Promise<Columns> {
  const parts = await sql<{ family: string; fields: string[] }[]>`
    SELECT family, (SELECT json_agg(k) FROM json_object_keys(rows -> 0) k) AS fields
    FROM snapshot_part WHERE seq = ${seq} AND part = 0 ORDER BY family`;
  const tables = new Map<string, readonly string[]>(
    Object.entries(FAMILIES).map(([family, { columns }]) => [family, Object.keys(columns)]),
  );
  const named = (family: string, of: readonly string[], without: readonly string[]): string[] =>
    of.filter((field) => !without.includes(field)).map((field) => `${family}.${field}`);
  return {
    lacks: parts.flatMap(({ family, fields }) => named(family, tables.get(family) ?? [], fields)),
    beyond: parts.flatMap(({ family, fields }) => named(family, fields, tables.get(family) ?? [])),
  };
}

export interface ProvenBounds {
  readonly atLeast: number;
  readonly atMost: number;
  /** Of several, which. */
  readonly prefer: 'lowest' | 'newest';
  /** No rows stand before `atLeast`: of snapshots that all lack something, one has to do. */
  readonly needed: boolean;
}

/** One to begin at, and which would have come before it, but lack what this version has. */
export interface Base {
  readonly seq: number | null;
  readonly passedOver: readonly number[];
}

/**
 * The lowest or the newest snapshot within bounds that was folded and found equal: others may copy damage. It has
 * every column of this version's tables, if there is such a one: in another, null may stand for a value.
 */
export async function provenSnapshot(sql: Sql, bounds: ProvenBounds): Promise<Base> {
  const atMost = Math.min(bounds.atMost, Number.MAX_SAFE_INTEGER);
  const rows = await sql<{ seq: number }[]>`
    SELECT seq FROM snapshot WHERE folds_equal AND format = ${FORMAT}
      AND seq >= ${bounds.atLeast} AND seq <= ${atMost} ORDER BY seq`;
  const found = bounds.prefer === 'lowest' ? [...rows] : rows.toReversed();
  const passedOver: number[] = [];
  for (const { seq } of found) {
    const { lacks } = await snapshotColumns(sql, seq);
    if (lacks.length === 0) return { seq, passedOver };
    passedOver.push(seq);
  }
  const [first = null, ...others] = passedOver;
  return bounds.needed ? { seq: first, passedOver: others } : { seq: null, passedOver };
}

/** Throws when there is none of this seq. */
export async function loadSnapshot(sql: Sql, seq: number): Promise<Start> {
  const [found] = await sql<{ ts: string; hash: Buffer; format: number }[]>`
    SELECT ts, hash, format FROM snapshot WHERE seq = ${seq}`;
  if (found?.format !== FORMAT)
    throw new Error(`snapshot ${seq} is gone or of an unknown format: try again`);
  const { ts, hash } = found;
  const { lacks } = await snapshotColumns(sql, seq);
  const rows = await readRows({ headSeq: seq, lastTs: millisOf(ts) }, (family, table) =>
    readFamily(sql, seq, family, table),
  );
  return { rows, hash, lacks };
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
