/**
 * How a commit writes the derived tables. Whole batches travel as one JSON parameter (`json_to_recordset`), so it costs
 * a statement per table touched and half a megabyte, never per row.
 */
import type { Sql } from '../db/driver.ts';
import { bytesOf, givenTime, STATEMENT_BYTES } from '../db/slow-link.ts';
import { allStored } from '../db/swallowed.ts';
import { inOrder } from '../db/transaction.ts';
import type { RecordRow } from '../reducer/state/rows.ts';
import { REPORTED, type TouchedRows } from '../reducer/state/touched.ts';
import { pieces } from './pieces.ts';
import { columnName, FAMILIES, recordsetOf, type ColumnType, type Table } from './tables.ts';

const PARAMETER = '$1::text::json';

function upsertText<Row>(table: Table<Row>): string {
  const fields = Object.entries<ColumnType>(table.columns);
  const names = fields.map(([field]) => columnName(field));
  const keys = table.key.length === 0 ? ['singleton'] : table.key.map(columnName);
  const sets = names.filter((name) => !keys.includes(name)).map((n) => `${n} = EXCLUDED.${n}`);
  return `INSERT INTO ${table.name} (${names.join(', ')})
    SELECT ${fields.map(([field]) => `r."${field}"`).join(', ')} FROM ${recordsetOf(fields, PARAMETER)}
    ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${sets.join(', ')}`;
}

function removeText<Row>(name: string, table: Table<Row>): string {
  const fields = table.key.map((field) => [field, table.columns[field]] as const);
  const match = table.key.map((field) => `t.${columnName(field)} = r."${field}"`).join(' AND ');
  return `DELETE FROM ${name} t USING ${recordsetOf(fields, PARAMETER)} WHERE ${match}`;
}

/** Of rows that are there: these columns only. */
function updateText<Row>(table: Table<Row>, columns: readonly (keyof Row & string)[]): string {
  const fields = [...table.key, ...columns].map((f) => [f, table.columns[f]] as const);
  const sets = columns.map((field) => `${columnName(field)} = r."${field}"`).join(', ');
  const match = table.key.map((field) => `t.${columnName(field)} = r."${field}"`).join(' AND ');
  return `UPDATE ${table.name} t SET ${sets} FROM ${recordsetOf(fields, PARAMETER)} WHERE ${match}`;
}

const texts = new WeakMap<object, { readonly upsert: string; readonly remove: string }>();

function textsOf<Row>(table: Table<Row>): { readonly upsert: string; readonly remove: string } {
  const known = texts.get(table);
  if (known !== undefined) return known;
  const made = { upsert: upsertText(table), remove: removeText(table.name, table) };
  texts.set(table, made);
  return made;
}

/** A statement, not yet sent: building it serialises its rows, so a long commit can pause between two. */
export type Statement = () => Promise<unknown>;

/** `stores`: the table in which each item must be a row afterwards. */
function each<T>(
  sql: Sql,
  text: () => string,
  items: readonly T[],
  stores: string | null = null,
  written: (item: T) => unknown = (item) => item,
): Statement[] {
  const send = (piece: readonly T[]): Promise<unknown> => {
    const values = JSON.stringify(piece.map(written));
    // Known only now: a host's probes alone may have some megabytes.
    const bytes = bytesOf(values);
    if (piece.length > 1 && bytes > STATEMENT_BYTES) {
      const middle = Math.ceil(piece.length / 2);
      return inOrder([send(piece.slice(0, middle)), send(piece.slice(middle))]);
    }
    const answer = givenTime(sql, bytes, () =>
      sql.unsafe(text(), [values], { prepare: true }).execute(),
    );
    return stores === null ? answer : allStored(stores, piece.length, answer);
  };
  return pieces(items).map((piece) => () => send(piece));
}

function upsert<Row>(sql: Sql, table: Table<Row>, rows: readonly Row[]): Statement[] {
  return each(sql, () => textsOf(table).upsert, rows, table.name);
}

function remove<Row>(sql: Sql, table: Table<Row>, keys: readonly object[]): Statement[] {
  return each(sql, () => textsOf(table).remove, keys);
}

const UPDATE_REPORTED = updateText(FAMILIES.records, REPORTED);
const REPORT_FIELDS = [...FAMILIES.records.key, ...REPORTED];

function narrow(row: RecordRow): object {
  const few: Record<string, unknown> = {};
  for (const field of REPORT_FIELDS) few[field] = row[field];
  return few;
}

function updateReported(sql: Sql, rows: readonly RecordRow[]): Statement[] {
  return each(sql, () => UPDATE_REPORTED, rows, FAMILIES.records.name, narrow);
}

const REMOVE_OFFERS = removeText('dispatch_offer', FAMILIES.dispatches);

/** Offers end with the dispatch they are of: a later grant of the same record was never offered. */
function removeOffers(sql: Sql, keys: readonly object[]): Statement[] {
  return each(sql, () => REMOVE_OFFERS, keys);
}

const REMOVE_SECRETS = removeText('operator_secret', FAMILIES.tokens);

/** With the right goes what proved it: an id that is used again needs a secret of its own. */
function removeSecrets(sql: Sql, keys: readonly object[]): Statement[] {
  return each(sql, () => REMOVE_SECRETS, keys);
}

/** Everything of a rollout but its own row, which stays as a tombstone. */
function removePruned(sql: Sql, rolloutIds: readonly string[]): Statement[] {
  const tables = [
    FAMILIES.records.name,
    FAMILIES.dispatches.name,
    FAMILIES.probeFailures.name,
    FAMILIES.blockers.name,
    'dispatch_offer',
  ];
  return tables.flatMap((name) =>
    each(
      sql,
      () =>
        `DELETE FROM ${name} WHERE rollout_id IN (SELECT json_array_elements_text($1::text::json))`,
      rolloutIds,
    ),
  );
}

/** The statements of a commit, in order, for the writer's transaction. */
export function writeTouched(sql: Sql, rows: TouchedRows): Statement[] {
  return [
    ...upsert(sql, FAMILIES.fleet, rows.fleet === null ? [] : [rows.fleet]),
    ...upsert(sql, FAMILIES.channels, rows.channels),
    ...upsert(sql, FAMILIES.rollouts, rows.rollouts),
    ...upsert(sql, FAMILIES.records, rows.records),
    ...updateReported(sql, rows.reports),
    ...upsert(sql, FAMILIES.hosts, rows.hosts),
    ...remove(sql, FAMILIES.dispatches, rows.removed.dispatches),
    ...removeOffers(sql, rows.removed.dispatches),
    ...upsert(sql, FAMILIES.dispatches, rows.dispatches),
    ...remove(sql, FAMILIES.quarantines, rows.removed.quarantines),
    ...upsert(sql, FAMILIES.quarantines, rows.quarantines),
    ...remove(sql, FAMILIES.probeFailures, rows.removed.probeFailures),
    ...upsert(sql, FAMILIES.probeFailures, rows.probeFailures),
    ...remove(sql, FAMILIES.blockers, rows.removed.blockers),
    ...upsert(sql, FAMILIES.blockers, rows.blockers),
    ...remove(sql, FAMILIES.tokens, rows.removed.tokens),
    ...removeSecrets(sql, rows.removed.tokens),
    ...upsert(sql, FAMILIES.tokens, rows.tokens),
    ...remove(sql, FAMILIES.enrolments, rows.removed.enrolments),
    ...upsert(sql, FAMILIES.enrolments, rows.enrolments),
    ...removePruned(sql, rows.removed.pruned),
  ];
}
