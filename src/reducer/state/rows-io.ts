/** Rows in and out of the state: loading at takeover, and dumping for comparison. */
import type { FleetContent, ManifestContent } from '../content.ts';
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
import { emptyState, type FleetState, type StateRows } from './state.ts';

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
