/** Rows in and out of the state: loading at takeover, dumping for comparison, and what a commit must write. */
import type { FleetContent, ManifestContent } from '../content.ts';
import type { LogEntry } from '../log.ts';
import { DEFAULT_SETTINGS, type Settings } from '../settings.ts';
import { finish, type Sliced } from '../slices.ts';
import { cleanDirty } from './dirty.ts';
import {
  putBlocker,
  putChannel,
  putDispatch,
  putEnrolment,
  putFleet,
  putHost,
  putProbeFailure,
  putQuarantine,
  putRecord,
  putRollout,
  putToken,
} from './put.ts';
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
import { emptyState, failureKey, quarantineKey, type FleetState, type StateRows } from './state.ts';

/**
 * The state that `rows` describe, planned as far as whoever wrote them had planned it: nothing of it waits for
 * the next input, or that input's rows would tell of what it did not cause. A takeover plans everything anew,
 * by its own input.
 */
export function restore(rows: StateRows, settings: Settings = DEFAULT_SETTINGS): FleetState {
  return finish(restoring(rows, settings));
}

/** The same in short steps, for callers with other things to do. */
export function* restoring(rows: StateRows, settings: Settings): Sliced<FleetState> {
  const state = emptyState(settings);
  putFleet(state, rows.fleet);
  yield* each(rows.channels, (row) => {
    putChannel(state, row.channel, row);
  });
  yield* each(rows.rollouts, (row) => {
    putRollout(state, row.rolloutId, row);
  });
  yield* each(rows.hosts, (row) => {
    putHost(state, row.hostname, row);
  });
  yield* each(rows.records, (row) => {
    putRecord(state, row.rolloutId, row.hostname, row);
  });
  yield* each(rows.probeFailures, (row) => {
    putProbeFailure(state, row, row);
  });
  yield* each(rows.dispatches, (row) => {
    putDispatch(state, row.rolloutId, row.hostname, row);
  });
  yield* each(rows.quarantines, (row) => {
    putQuarantine(state, row.channel, row.closure, row);
  });
  yield* each(rows.blockers, (row) => {
    putBlocker(state, row.rolloutId, row.hostname, row);
  });
  for (const row of rows.tokens) putToken(state, row.tokenId, row);
  yield* each(rows.enrolments, (row) => {
    putEnrolment(state, row.nonce, row);
  });
  state.headSeq = rows.headSeq;
  state.lastTs = rows.lastTs;
  state.dirty = cleanDirty();
  return state;
}

/** Rows put in one step: a few milliseconds. */
const STEP_ROWS = 1_000;

function* each<Row>(rows: readonly Row[], put: (row: Row) => void): Sliced {
  let left = STEP_ROWS;
  for (const row of rows) {
    put(row);
    left -= 1;
    if (left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
}

/** Puts the verified set in force under the state: declarations are not state, rows name them by hash. */
export function setContent(
  state: FleetState,
  content: FleetContent,
  manifests: readonly ManifestContent[],
): void {
  state.content = content;
  state.manifests = new Map(manifests.map((manifest) => [manifest.rolloutId, manifest]));
  const gatedBy = new Map<string, Set<string>>();
  const gatesOf = new Map<string, Set<string>>();
  // Sets: an edge that is declared twice is one.
  for (const { gated, gates } of content.edges) {
    enter(gatedBy, gates, gated);
    enter(gatesOf, gated, gates);
  }
  state.gatedBy = gatedBy;
  state.gatesOf = gatesOf;
  countFleet(state, content);
}

function countFleet(state: FleetState, content: FleetContent): void {
  let size = 0;
  let reachable = 0;
  for (const [hostname, host] of content.hosts) {
    if (host.closureHash === null) continue;
    size += 1;
    if (state.hosts.get(hostname)?.row.reachability === 'reachable') reachable += 1;
  }
  state.fleetSize = size;
  state.fleetReachable = reachable;
}

function enter(map: Map<string, Set<string>>, key: string, value: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, new Set([value]));
  else known.add(value);
}

/** Every row, sorted by key: two equal states dump equally. */
export function dump(state: FleetState): StateRows {
  const rollouts = sorted(state.rollouts);
  return {
    headSeq: state.headSeq,
    lastTs: state.lastTs,
    fleet: state.fleet,
    channels: sorted(state.channels),
    rollouts: rollouts.map((rollout) => rollout.row),
    records: rollouts.flatMap((rollout) => sorted(rollout.records)),
    hosts: sorted(state.hosts)
      .map((host) => host.row)
      .filter((row) => row.seq > 0),
    dispatches: rollouts.flatMap((rollout) => sorted(rollout.dispatches)),
    quarantines: sorted(state.quarantines),
    probeFailures: rollouts.flatMap((rollout) => sorted(rollout.failures).flatMap(sorted)),
    blockers: rollouts.flatMap((rollout) => sorted(rollout.blockers)),
    tokens: sorted(state.tokens),
    enrolments: sorted(state.enrolments),
  };
}

function sorted<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

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
  const keys = collectKeys(entries);
  const dispatches = split(keys.dispatch, ([r, h]) => state.rollouts.get(r)?.dispatches.get(h));
  const blockers = split(keys.blocker, ([r, h]) => state.rollouts.get(r)?.blockers.get(h));
  const quarantines = split(keys.quarantine, ([c, x]) =>
    state.quarantines.get(quarantineKey(c, x)),
  );
  const failures = split(keys.failure, ([r, h, p, c]) =>
    state.rollouts
      .get(r)
      ?.failures.get(h)
      ?.get(failureKey(p, c ?? '')),
  );
  const record = ([r, h]: Key) => state.rollouts.get(r)?.records.get(h);
  for (const whole of keys.record.keys()) keys.report.delete(whole);
  const enrolments = split(keys.enrolment, ([nonce]) => state.enrolments.get(nonce));
  return {
    fleet: keys.fleet ? state.fleet : null,
    channels: split(keys.channel, ([c]) => state.channels.get(c)).rows,
    rollouts: split(keys.rollout, ([r]) => state.rollouts.get(r)?.row).rows,
    records: split(keys.record, record).rows,
    reports: split(keys.report, record).rows,
    hosts: split(keys.host, ([h]) => state.hosts.get(h)?.row).rows,
    dispatches: dispatches.rows,
    quarantines: quarantines.rows,
    probeFailures: failures.rows,
    blockers: blockers.rows,
    tokens: split(keys.token, ([id]) => state.tokens.get(id)).rows,
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

function collectKeys(entries: readonly LogEntry[]): Keys {
  const keys: Keys = {
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
  for (const entry of entries) for (const change of entry.changes) collectKey(keys, change);
  return keys;
}

function collectKey(keys: Keys, change: LogEntry['changes'][number]): void {
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

function split<Row>(
  keys: KeySet,
  read: (key: Key) => Row | undefined,
): { rows: Row[]; gone: Key[] } {
  const rows: Row[] = [];
  const gone: Key[] = [];
  for (const key of keys.values()) {
    const row = read(key);
    if (row === undefined) gone.push(key);
    else rows.push(row);
  }
  return { rows, gone };
}
