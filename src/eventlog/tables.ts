/**
 * The derived tables: one description of each, from which its statements are made. A field that is added to
 * a row type and forgotten here does not compile; one that is missing in the migration fails every test.
 *
 * Whole batches travel as one JSON parameter (`json_to_recordset`), so a commit costs a statement per table
 * touched, never per row.
 */
import type { Sql } from '../db/driver.ts';
import { allStored } from '../db/swallowed.ts';
import { REPORTED, type TouchedRows } from '../reducer/state/touched.ts';
import type {
  BlockerRow,
  ChannelRow,
  DispatchRow,
  FleetRow,
  HostRow,
  ProbeFailureRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
} from '../reducer/state/rows.ts';
import { ENROLMENT, TOKEN } from './access-tables.ts';
import { pieces } from './pieces.ts';

type ColumnType =
  'text' | 'bigint' | 'integer' | 'double precision' | 'boolean' | 'timestamptz' | 'json';

export interface Table<Row> {
  readonly name: string;
  readonly key: readonly (keyof Row & string)[];
  readonly columns: Readonly<Record<keyof Row & string, ColumnType>>;
}

const FLEET: Table<FleetRow> = {
  name: 'fleet',
  key: [],
  columns: {
    seq: 'bigint',
    fleetHash: 'text',
    signedAt: 'timestamptz',
    ref: 'text',
    pause: 'json',
    rejectBefore: 'timestamptz',
    rejections: 'json',
    listeningSince: 'timestamptz',
    deafSince: 'timestamptz',
    opened: 'bigint',
  },
};

const CHANNEL: Table<ChannelRow> = {
  name: 'channel',
  key: ['channel'],
  columns: {
    seq: 'bigint',
    channel: 'text',
    declaredRef: 'text',
    manifestHash: 'text',
    signedAt: 'timestamptz',
    freshnessWindow: 'double precision',
    undeclaredAt: 'timestamptz',
    currentRolloutId: 'text',
    waitingRef: 'text',
    pause: 'json',
    note: 'text',
  },
};

const ROLLOUT: Table<RolloutRow> = {
  name: 'rollout',
  key: ['rolloutId'],
  columns: {
    seq: 'bigint',
    rolloutId: 'text',
    channel: 'text',
    channelRef: 'text',
    displayName: 'text',
    manifestHash: 'text',
    signedAt: 'timestamptz',
    state: 'text',
    currentWave: 'integer',
    ordinal: 'bigint',
    openedAt: 'timestamptz',
    supersededAt: 'timestamptz',
    supersededBy: 'text',
    terminalAt: 'timestamptz',
    failedAt: 'timestamptz',
    endedAt: 'timestamptz',
    plan: 'json',
    exceptions: 'json',
    blockers: 'json',
    blockersSince: 'json',
  },
};

const RECORD: Table<RecordRow> = {
  name: 'host_rollout',
  key: ['rolloutId', 'hostname'],
  columns: {
    seq: 'bigint',
    rolloutId: 'text',
    hostname: 'text',
    channel: 'text',
    wave: 'integer',
    state: 'text',
    targetClosure: 'text',
    currentClosureAtDispatch: 'text',
    currentClosure: 'text',
    revertedTo: 'text',
    dispatchedAt: 'timestamptz',
    dispatchAckedAt: 'timestamptz',
    activationStartedAt: 'timestamptz',
    activationCompletedAt: 'timestamptz',
    activationFailedAt: 'timestamptz',
    probeObservedFirstAt: 'timestamptz',
    probeFailureFirstAt: 'timestamptz',
    soakDueAt: 'timestamptz',
    convergedAt: 'timestamptz',
    failedAt: 'timestamptz',
    policyApplied: 'text',
    revertedAt: 'timestamptz',
    probes: 'json',
    declaredProbes: 'json',
    lastEventSeq: 'bigint',
    synthesised: 'text',
    closed: 'text',
    highestRefusedSeq: 'bigint',
    lastRefusal: 'text',
    lastAcceptedAt: 'timestamptz',
    completedAppliedAt: 'timestamptz',
    contradictedBy: 'text',
    unchanged: 'boolean',
    cleared: 'boolean',
    wasOffered: 'boolean',
    targetSightings: 'integer',
    synthesisedAt: 'timestamptz',
    stuck: 'boolean',
    rollbackFailed: 'boolean',
    policyAtDispatch: 'text',
  },
};

const HOST: Table<HostRow> = {
  name: 'host',
  key: ['hostname'],
  columns: {
    seq: 'bigint',
    hostname: 'text',
    reportedClosure: 'text',
    reachability: 'text',
    reachabilityAt: 'timestamptz',
    hold: 'json',
    settledClosure: 'text',
  },
};

const DISPATCH: Table<DispatchRow> = {
  name: 'dispatch',
  key: ['rolloutId', 'hostname'],
  columns: {
    seq: 'bigint',
    rolloutId: 'text',
    hostname: 'text',
    channel: 'text',
    targetClosure: 'text',
    soakDueAt: 'timestamptz',
    enqueuedAt: 'timestamptz',
    suspended: 'boolean',
    ordinal: 'bigint',
  },
};

const QUARANTINE: Table<QuarantineRow> = {
  name: 'quarantine',
  key: ['channel', 'closure'],
  columns: {
    seq: 'bigint',
    channel: 'text',
    closure: 'text',
    rolloutId: 'text',
    hostname: 'text',
    at: 'timestamptz',
  },
};

const PROBE_FAILURE: Table<ProbeFailureRow> = {
  name: 'probe_failure',
  key: ['rolloutId', 'hostname', 'probeName', 'controlId'],
  columns: {
    seq: 'bigint',
    rolloutId: 'text',
    hostname: 'text',
    probeName: 'text',
    controlId: 'text',
    since: 'timestamptz',
  },
};

const BLOCKER: Table<BlockerRow> = {
  name: 'host_blocker',
  key: ['rolloutId', 'hostname'],
  columns: {
    seq: 'bigint',
    rolloutId: 'text',
    hostname: 'text',
    gates: 'json',
    since: 'timestamptz',
    earlier: 'json',
  },
};

/** The derived tables by the family of rows that each holds, in the order in which they are written. */
export const FAMILIES = {
  fleet: FLEET,
  channels: CHANNEL,
  rollouts: ROLLOUT,
  records: RECORD,
  hosts: HOST,
  dispatches: DISPATCH,
  quarantines: QUARANTINE,
  probeFailures: PROBE_FAILURE,
  blockers: BLOCKER,
  tokens: TOKEN,
  enrolments: ENROLMENT,
} as const;

export type Family = keyof typeof FAMILIES;

/** A table, whatever its rows. */
interface AnyTable {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnType>>;
}

function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `seq, rollout_id AS "rolloutId", …`: a select list that yields the rows of rows.ts. */
export function selectList(table: AnyTable): string {
  return Object.keys(table.columns)
    .map((field) => `${columnName(field)} AS "${field}"`)
    .join(', ');
}

/** Which column of a table holds the instant that $1 is, as the server writes it. */
export function columnHolding(table: AnyTable): string {
  const columns = Object.keys(table.columns).filter((f) => table.columns[f] === 'timestamptz');
  const pairs = columns.map(columnName).map((name) => `('${name}', t.${name})`);
  return `SELECT c.name FROM ${table.name} t, LATERAL (VALUES ${pairs.join(', ')}) AS c (name, at)
    WHERE c.at::text = $1 LIMIT 1`;
}

function recordsetOf(fields: readonly (readonly [string, string])[], json: string): string {
  const columns = fields.map(([field, type]) => `"${field}" ${type}`).join(', ');
  return `json_to_recordset(${json}) AS r(${columns})`;
}

/** Rows of a table out of a JSON list, as `r`. */
export function recordset(table: AnyTable, json: string): string {
  return recordsetOf(Object.entries(table.columns), json);
}

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
  return pieces(items).map((piece) => () => {
    const values = JSON.stringify(piece.map(written));
    const answer = sql.unsafe(text(), [values], { prepare: true }).execute();
    return stores === null ? answer : allStored(stores, piece.length, answer);
  });
}

function upsert<Row>(sql: Sql, table: Table<Row>, rows: readonly Row[]): Statement[] {
  return each(sql, () => textsOf(table).upsert, rows, table.name);
}

function remove<Row>(sql: Sql, table: Table<Row>, keys: readonly object[]): Statement[] {
  return each(sql, () => textsOf(table).remove, keys);
}

const UPDATE_REPORTED = updateText(RECORD, REPORTED);
const REPORT_FIELDS = [...RECORD.key, ...REPORTED];

function narrow(row: RecordRow): object {
  const few: Record<string, unknown> = {};
  for (const field of REPORT_FIELDS) few[field] = row[field];
  return few;
}

function updateReported(sql: Sql, rows: readonly RecordRow[]): Statement[] {
  return each(sql, () => UPDATE_REPORTED, rows, RECORD.name, narrow);
}

const REMOVE_OFFERS = removeText('dispatch_offer', DISPATCH);

/** Offers end with the dispatch they are of: a later grant of the same record was never offered. */
function removeOffers(sql: Sql, keys: readonly object[]): Statement[] {
  return each(sql, () => REMOVE_OFFERS, keys);
}

const REMOVE_SECRETS = removeText('operator_secret', TOKEN);

/** With the right goes what proved it: an id that is used again needs a secret of its own. */
function removeSecrets(sql: Sql, keys: readonly object[]): Statement[] {
  return each(sql, () => REMOVE_SECRETS, keys);
}

/** Everything of a rollout but its own row, which stays as a tombstone. */
function removePruned(sql: Sql, rolloutIds: readonly string[]): Statement[] {
  const tables = [RECORD.name, DISPATCH.name, PROBE_FAILURE.name, BLOCKER.name, 'dispatch_offer'];
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
    ...upsert(sql, FLEET, rows.fleet === null ? [] : [rows.fleet]),
    ...upsert(sql, CHANNEL, rows.channels),
    ...upsert(sql, ROLLOUT, rows.rollouts),
    ...upsert(sql, RECORD, rows.records),
    ...updateReported(sql, rows.reports),
    ...upsert(sql, HOST, rows.hosts),
    ...remove(sql, DISPATCH, rows.removed.dispatches),
    ...removeOffers(sql, rows.removed.dispatches),
    ...upsert(sql, DISPATCH, rows.dispatches),
    ...remove(sql, QUARANTINE, rows.removed.quarantines),
    ...upsert(sql, QUARANTINE, rows.quarantines),
    ...remove(sql, PROBE_FAILURE, rows.removed.probeFailures),
    ...upsert(sql, PROBE_FAILURE, rows.probeFailures),
    ...remove(sql, BLOCKER, rows.removed.blockers),
    ...upsert(sql, BLOCKER, rows.blockers),
    ...remove(sql, TOKEN, rows.removed.tokens),
    ...removeSecrets(sql, rows.removed.tokens),
    ...upsert(sql, TOKEN, rows.tokens),
    ...remove(sql, ENROLMENT, rows.removed.enrolments),
    ...upsert(sql, ENROLMENT, rows.enrolments),
    ...removePruned(sql, rows.removed.pruned),
  ];
}
