/** The derived tables as one consistent set of rows: what a leader loads at takeover. */
import type { Sql } from '../db/driver.ts';
import { UnreadableInstantError } from '../db/instants.ts';
import { emptyFleetRow, type StateRows } from '../reducer/state/state.ts';
import { millisOf } from '../reducer/time.ts';
import { columnHolding, FAMILIES, selectList, type Family, type Table } from './tables.ts';

/** Reads one family of rows, each column by its type. */
type ReadFamily = <Row extends object>(family: Family, table: Table<Row>) => Promise<Row[]>;

/** All families, asked for in one go, and what goes with them. */
export async function readRows(
  head: Pick<StateRows, 'headSeq' | 'lastTs'>,
  read: ReadFamily,
): Promise<StateRows> {
  const [
    fleets,
    channels,
    rollouts,
    records,
    hosts,
    dispatches,
    quarantines,
    failures,
    blockers,
    tokens,
    enrolments,
  ] = await Promise.all([
    read('fleet', FAMILIES.fleet),
    read('channels', FAMILIES.channels),
    read('rollouts', FAMILIES.rollouts),
    read('records', FAMILIES.records),
    read('hosts', FAMILIES.hosts),
    read('dispatches', FAMILIES.dispatches),
    read('quarantines', FAMILIES.quarantines),
    read('probeFailures', FAMILIES.probeFailures),
    read('blockers', FAMILIES.blockers),
    read('tokens', FAMILIES.tokens),
    read('enrolments', FAMILIES.enrolments),
  ]);
  return {
    ...head,
    ...{ fleet: fleets[0] ?? emptyFleetRow(), channels, rollouts, records, hosts, dispatches },
    ...{ quarantines, probeFailures: failures, blockers, tokens, enrolments },
  };
}

/**
 * Runs inside the caller's transaction, which must see one snapshot (REPEATABLE READ). Rejects on any
 * database error: an error is never an empty state.
 */
export async function loadState(sql: Sql): Promise<StateRows> {
  return (await loadStateAndHead(sql)).rows;
}

/** As `loadState`, and the row of the log that the state stands at. */
export async function loadStateAndHead(
  sql: Sql,
): Promise<{ readonly rows: StateRows; readonly head: Head }> {
  const [head, tables] = await Promise.all([
    readHead(sql),
    readRows(BEFORE_ANY, (_family, table) => readTable(sql, table)),
  ]);
  const lastTs = head.ts === null ? 0 : millisOf(head.ts);
  return { rows: { ...tables, headSeq: head.seq, lastTs }, head };
}

const BEFORE_ANY = { headSeq: 0, lastTs: 0 };

async function readTable<Row extends object>(
  sql: Sql,
  table: Table<Row>,
  rest = '',
): Promise<Row[]> {
  try {
    return [...(await sql.unsafe<Row[]>(`SELECT ${selectList(table)} FROM ${table.name} ${rest}`))];
  } catch (error) {
    if (!(error instanceof UnreadableInstantError)) throw error;
    const [column] = await sql.unsafe<{ name: string }[]>(columnHolding(table), [error.text]);
    if (column === undefined) throw error;
    throw new UnreadableInstantError(error.text, `column ${column.name} of table ${table.name}`);
  }
}

/** The same tables, and nothing of them: a session that will load them has then read what it must know of them. */
export async function meetTables(sql: Sql): Promise<void> {
  await readRows(BEFORE_ANY, (_family, table) => readTable(sql, table, 'LIMIT 0'));
}

export interface Head {
  /** 0 before the first row. */
  readonly seq: number;
  readonly ts: string | null;
  /** The last row's; null before the first. */
  readonly hash: Buffer | null;
}

/** What the last commit said that the log ends at; 0 before the first. The log never ends before it. */
export async function readCommittedSeq(sql: Sql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`SELECT head_seq AS seq FROM leader_progress`;
  return row?.seq ?? 0;
}

export async function readHead(sql: Sql): Promise<Head> {
  const [row] = await sql<{ seq: number; ts: string; hash: Buffer }[]>`
    SELECT seq, ts, hash FROM event_log ORDER BY seq DESC LIMIT 1`;
  return row ?? { seq: 0, ts: null, hash: null };
}
