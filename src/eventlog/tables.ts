/**
 * The derived tables: one description of each, from which its statements are made. A field that is added to
 * a row type and forgotten here does not compile; one that is missing in the migration fails every test.
 */
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

export type ColumnType =
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

export function columnName(field: string): string {
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

export function recordsetOf(fields: readonly (readonly [string, string])[], json: string): string {
  const columns = fields.map(([field, type]) => `"${field}" ${type}`).join(', ');
  return `json_to_recordset(${json}) AS r(${columns})`;
}

/** Rows of a table out of a JSON list, as `r`. */
export function recordset(table: AnyTable, json: string): string {
  return recordsetOf(Object.entries(table.columns), json);
}
