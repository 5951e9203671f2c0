/** What a commit must write: the rows that the entries of its batch changed, as the state has them after it. */
import type { LogEntry } from '../log.ts';
import { finish, parts, type Sliced } from '../slices.ts';
import type { PlannedHost } from './change.ts';
import type {
  BlockerRow,
  ChannelRow,
  DispatchRow,
  EnrolmentRow,
  FleetRow,
  HostRow,
  ProbeFailureRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
  TokenRow,
} from './rows.ts';
import { failureKey, quarantineKey, type FleetState } from './state.ts';

/**
 * What an ordinary event of a host under way changes of its record: most of what a fleet reports. A commit
 * writes these columns alone then, at a third of what a whole record costs the server.
 */
export const REPORTED = [
  'seq',
  'state',
  'probes',
  'probeObservedFirstAt',
  'probeFailureFirstAt',
  'lastEventSeq',
  'lastAcceptedAt',
  'targetSightings',
] as const satisfies readonly (keyof RecordRow)[];

const IS_REPORTED: ReadonlySet<string> = new Set(REPORTED);

/** What a commit must write for `entries`: the final row of each key, or its removal. */
export interface TouchedRows {
  readonly fleet: FleetRow | null;
  readonly channels: readonly ChannelRow[];
  readonly rollouts: readonly RolloutRow[];
  readonly records: readonly RecordRow[];
  /** Records that were there before, and of which nothing but `REPORTED` changed. */
  readonly reports: readonly RecordRow[];
  readonly hosts: readonly HostRow[];
  readonly dispatches: readonly DispatchRow[];
  readonly quarantines: readonly QuarantineRow[];
  readonly probeFailures: readonly ProbeFailureRow[];
  readonly blockers: readonly BlockerRow[];
  readonly tokens: readonly TokenRow[];
  readonly enrolments: readonly EnrolmentRow[];
  readonly removed: {
    /** Also those in whose place there is a new one: offers end with the dispatch they are of. */
    readonly dispatches: readonly { readonly rolloutId: string; readonly hostname: string }[];
    readonly blockers: readonly { readonly rolloutId: string; readonly hostname: string }[];
    readonly quarantines: readonly { readonly channel: string; readonly closure: string }[];
    readonly probeFailures: readonly Pick<
      ProbeFailureRow,
      'rolloutId' | 'hostname' | 'probeName' | 'controlId'
    >[];
    /** Also those whose id is in use again: a secret ends with the token it is of. */
    readonly tokens: readonly { readonly tokenId: string }[];
    readonly enrolments: readonly Pick<EnrolmentRow, 'nonce'>[];
    /** Rollouts of which everything but the row itself is gone. */
    readonly pruned: readonly string[];
  };
}

/** Reads, out of the state after a batch, the rows that the batch's entries changed. */
export function touched(state: FleetState, entries: readonly LogEntry[]): TouchedRows {
  return finish(touching(state, entries));
}

/** The same in short steps. The state must not change before the last: it is read all the way. */
export function* touching(state: FleetState, entries: readonly LogEntry[]): Sliced<TouchedRows> {
  const keys = yield* collectKeys(entries);
  for (const whole of keys.record.keys()) keys.report.delete(whole);
  const record = ([r, h]: Key) => state.rollouts.get(r)?.records.get(h);
  const channels = yield* split(keys.channel, ([c]) => state.channels.get(c));
  const rollouts = yield* split(keys.rollout, ([r]) => state.rollouts.get(r)?.row);
  const records = yield* split(keys.record, record);
  const reports = yield* split(keys.report, record);
  const hosts = yield* split(keys.host, ([h]) => state.hosts.get(h)?.row);
  const dispatches = yield* split(keys.dispatch, ([r, h]) =>
    state.rollouts.get(r)?.dispatches.get(h),
  );
  const quarantines = yield* split(keys.quarantine, ([c, x]) =>
    state.quarantines.get(quarantineKey(c, x)),
  );
  const failures = yield* split(keys.failure, ([r, h, p, c]) =>
    state.rollouts
      .get(r)
      ?.failures.get(h)
      ?.get(failureKey(p, c ?? '')),
  );
  const blockers = yield* split(keys.blocker, ([r, h]) => state.rollouts.get(r)?.blockers.get(h));
  const tokens = yield* split(keys.token, ([id]) => state.tokens.get(id));
  const enrolments = yield* split(keys.enrolment, ([nonce]) => state.enrolments.get(nonce));
  return {
    fleet: keys.fleet ? state.fleet : null,
    channels: channels.rows,
    rollouts: rollouts.rows,
    records: records.rows,
    reports: reports.rows,
    hosts: hosts.rows,
    dispatches: dispatches.rows,
    quarantines: quarantines.rows,
    probeFailures: failures.rows,
    blockers: blockers.rows,
    tokens: tokens.rows,
    enrolments: enrolments.rows,
    removed: {
      dispatches: [...keys.takenBack.values()].map(([rolloutId, hostname]) => ({
        rolloutId,
        hostname,
      })),
      blockers: blockers.gone.map(([rolloutId, hostname]) => ({ rolloutId, hostname })),
      quarantines: quarantines.gone.map(([channel, closure]) => ({ channel, closure })),
      probeFailures: failures.gone.map(([rolloutId, hostname, probeName, controlId]) => ({
        rolloutId,
        hostname,
        probeName,
        controlId: controlId ?? '',
      })),
      tokens: [...keys.revoked.values()].map(([tokenId]) => ({ tokenId })),
      enrolments: enrolments.gone.map(([nonce]) => ({ nonce })),
      pruned: [...keys.pruned],
    },
  };
}

type Key = readonly [string, string, string, string?];
type KeySet = Map<string, Key>;

interface Keys {
  fleet: boolean;
  readonly channel: KeySet;
  readonly rollout: KeySet;
  readonly record: KeySet;
  readonly report: KeySet;
  readonly host: KeySet;
  readonly dispatch: KeySet;
  /** Dispatches that were removed, for good or before another took their place. */
  readonly takenBack: KeySet;
  readonly quarantine: KeySet;
  readonly failure: KeySet;
  readonly blocker: KeySet;
  readonly token: KeySet;
  readonly revoked: KeySet;
  readonly enrolment: KeySet;
  readonly pruned: Set<string>;
}

/** Keys noted, or rows read, in one step: a few milliseconds. */
const STEP_ROWS = 1_000;

function* collectKeys(entries: readonly LogEntry[]): Sliced<Keys> {
  const keys = noKeys();
  let left = STEP_ROWS;
  for (const entry of entries) {
    for (const change of entry.changes) {
      if ('hosts' in change && change.hosts.length > STEP_ROWS) yield* collectMany(keys, change);
      else collectKey(keys, change);
      left -= 1;
      if (left > 0) continue;
      left = STEP_ROWS;
      yield;
    }
  }
  return keys;
}

type Change = LogEntry['changes'][number];

function* collectMany(keys: Keys, change: Extract<Change, { t: 'records' | 'blocker' }>): Sliced {
  const of = change.t === 'records' ? keys.record : keys.blocker;
  for (const hosts of parts<string | PlannedHost>(change.hosts)) {
    for (const host of hosts) note(of, change.rolloutId, typeof host === 'string' ? host : host[0]);
    yield;
  }
}

function noKeys(): Keys {
  return {
    fleet: false,
    channel: new Map(),
    rollout: new Map(),
    record: new Map(),
    report: new Map(),
    host: new Map(),
    dispatch: new Map(),
    takenBack: new Map(),
    quarantine: new Map(),
    failure: new Map(),
    blocker: new Map(),
    token: new Map(),
    revoked: new Map(),
    enrolment: new Map(),
    pruned: new Set(),
  };
}

function collectKey(keys: Keys, change: Change): void {
  switch (change.t) {
    case 'fleet':
      keys.fleet = true;
      return;
    case 'channel':
      note(keys.channel, change.channel);
      return;
    case 'rollout':
      note(keys.rollout, change.rolloutId);
      return;
    case 'records':
      for (const [hostname] of change.hosts) note(keys.record, change.rolloutId, hostname);
      return;
    case 'record':
      note(isReport(change.set) ? keys.report : keys.record, change.rolloutId, change.hostname);
      return;
    case 'host':
      note(keys.host, change.hostname);
      return;
    case 'dispatch':
      note(keys.dispatch, change.rolloutId, change.hostname);
      if (change.set === null) note(keys.takenBack, change.rolloutId, change.hostname);
      return;
    case 'quarantine':
      note(keys.quarantine, change.channel, change.closure);
      return;
    case 'probeFailure':
      note(keys.failure, change.rolloutId, change.hostname, change.probeName, change.controlId);
      return;
    case 'blocker':
      for (const hostname of change.hosts) note(keys.blocker, change.rolloutId, hostname);
      return;
    case 'token':
      note(keys.token, change.tokenId);
      if (change.set === null) note(keys.revoked, change.tokenId);
      return;
    case 'enrolment':
      note(keys.enrolment, change.nonce);
      return;
    case 'prune':
      keys.pruned.add(change.rolloutId);
  }
}

function isReport(set: object): boolean {
  for (const field in set) if (!IS_REPORTED.has(field)) return false;
  return true;
}

function note(set: KeySet, a: string, b = '', c = '', d?: string): void {
  const key: Key = d === undefined ? [a, b, c] : [a, b, c, d];
  set.set(key.join('\u0000'), key);
}

function* split<Row>(
  keys: KeySet,
  read: (key: Key) => Row | undefined,
): Sliced<{ rows: Row[]; gone: Key[] }> {
  const rows: Row[] = [];
  const gone: Key[] = [];
  let left = STEP_ROWS;
  for (const key of keys.values()) {
    const row = read(key);
    if (row === undefined) gone.push(key);
    else rows.push(row);
    left -= 1;
    if (left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return { rows, gone };
}
