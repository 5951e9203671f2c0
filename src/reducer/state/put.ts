/**
 * Replaces one row and keeps everything that is derived from it: counters, budgets, reverse indexes, and
 * the marks for the next planning pass. `null` removes. Nothing else in the core writes to the state.
 */
import { isOpen } from '../host/record.ts';
import { SLICE_HOSTS, type Sliced } from '../slices.ts';
import { countsInFlight, pinLimits, setWaiting, updateInFlight } from './flight.ts';
import {
  markChannel,
  markChannelRollouts,
  markEverywhere,
  markProgress,
  markRecord,
  markRollout,
  markUnderway,
  markWavesBehind,
} from './marks.ts';
import {
  failureKey,
  isFleetHeard,
  absentSince,
  isReachable,
  newRolloutState,
  quarantineKey,
  waveOf,
  type FleetState,
  type HostState,
  type RolloutState,
} from './state.ts';
import { isWaiting, tally } from './tally.ts';
import type { Time } from '../time.ts';
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

export function putFleet(state: FleetState, row: FleetRow): void {
  const before = state.fleet;
  if (state.undo !== null) remember(state.undo, putFleet, state, before);
  state.fleet = row;
  const held = (before.pause === null) !== (row.pause === null);
  if (held || before.rejectBefore !== row.rejectBefore) state.dirty.all = true;
}

export function putChannel(state: FleetState, name: string, row: ChannelRow | null): void {
  const before = state.channels.get(name) ?? null;
  if (state.undo !== null) remember(state.undo, putChannel, state, name, before);
  if (row === null) state.channels.delete(name);
  else state.channels.set(name, row);
  markChannel(state, name, before, row);
}

export function putRollout(state: FleetState, id: string, row: RolloutRow | null): void {
  const entry = state.rollouts.get(id);
  const before = entry?.row ?? null;
  if (state.undo !== null) remember(state.undo, putRollout, state, id, before);
  // Another plan is another rollout to its indexes: one is opened, or pruned to a tombstone.
  if (entry !== undefined && row?.plan === entry.row.plan) replaceRow(state, entry, row);
  else {
    if (entry !== undefined) pinLimits(state, entry, true);
    if (row === null) state.rollouts.delete(id);
    else enterRollout(state, newRolloutState(row));
  }
  const rollout = state.rollouts.get(id);
  if (rollout === undefined || rollout.row.state === 'Pruned') state.live.delete(id);
  else state.live.set(id, rollout);
  if (row !== null) markRollout(state, before, row);
}

function enterRollout(state: FleetState, rollout: RolloutState): void {
  state.rollouts.set(rollout.row.rolloutId, rollout);
  pinLimits(state, rollout);
}

/** One that is through, or halted: what it allowed is no measure for those that go on. */
function replaceRow(state: FleetState, rollout: RolloutState, row: RolloutRow): void {
  rollout.row = row;
  pinLimits(state, rollout);
}

export function putRecord(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  row: RecordRow | null,
): void {
  const rollout = state.rollouts.get(rolloutId);
  if (rollout === undefined)
    throw new Error(`no rollout ${rolloutId} for the record of ${hostname}`);
  const before = rollout.records.get(hostname) ?? null;
  const wave = (row ?? before)?.wave ?? 0;
  const { outstanding, lastCompletion } = waveOf(rollout, wave);
  if (state.undo !== null)
    remember(state.undo, restoreRecord, state, rolloutId, hostname, before, lastCompletion);
  const held = countsInFlight(rollout, hostname);
  if (before !== null) tallyRecord(state, rollout, before, -1);
  if (row === null) removeRecord(state, rollout, hostname);
  else {
    rollout.records.set(hostname, row);
    tallyRecord(state, rollout, row, 1);
    if (before === null) hostEntry(state, hostname).rollouts.add(rolloutId);
    if (before === null || !isWaiting(before)) noteAbsence(state, rollout, row);
  }
  noteOpen(state, rollout, hostname, before, row);
  updateInFlight(state, rollout, hostname, held);
  markRecord(state, rollout, hostname, before, row);
  if ((outstanding === 0) !== (waveOf(rollout, wave).outstanding === 0))
    markWavesBehind(state, rollout, wave);
}

function restoreRecord(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  row: RecordRow | null,
  lastCompletion: Time | null,
): void {
  const rollout = state.rollouts.get(rolloutId);
  const wave = (row ?? rollout?.records.get(hostname))?.wave ?? 0;
  putRecord(state, rolloutId, hostname, row);
  // The only counter that does not go back by itself: it is a maximum.
  if (rollout !== undefined) waveOf(rollout, wave).lastCompletion = lastCompletion;
}

/** Keeps the short lists of what is open: a host's history must not make its next event slower. */
function noteOpen(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  before: RecordRow | null,
  row: RecordRow | null,
): void {
  const isNow = row !== null && isOpen(row);
  if (isNow && row.state !== 'Pending') rollout.moving.add(hostname);
  else if (before !== null && before.state !== 'Pending') rollout.moving.delete(hostname);
  if (isNow === (before !== null && isOpen(before))) return;
  const host = state.hosts.get(hostname);
  if (host === undefined) return;
  const { rolloutId } = rollout.row;
  const others = host.open.filter((id) => id !== rolloutId);
  host.open = isNow ? [...others, rolloutId].sort() : others;
}

function removeRecord(state: FleetState, rollout: RolloutState, hostname: string): void {
  rollout.records.delete(hostname);
  state.hosts.get(hostname)?.rollouts.delete(rollout.row.rolloutId);
  forgetUnknownHost(state, hostname);
}

export function putHost(state: FleetState, hostname: string, row: HostRow): void {
  const entry = hostEntry(state, hostname);
  const before = entry.row;
  if (state.undo !== null) remember(state.undo, putHost, state, hostname, before);
  const moved = (before.reachability === 'reachable') !== (row.reachability === 'reachable');
  const heard = isFleetHeard(state);
  if (moved) tallyHost(state, hostname, -1);
  entry.row = row;
  if (moved) tallyHost(state, hostname, 1);
  if (heard !== isFleetHeard(state)) markUnderway(state);
  markEverywhere(state, hostname);
  if (moved) markProgress(state, entry.rollouts);
  forgetUnknownHost(state, hostname);
}

export function putDispatch(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  row: DispatchRow | null,
): void {
  const rollout = state.rollouts.get(rolloutId);
  if (rollout === undefined)
    throw new Error(`no rollout ${rolloutId} for the dispatch of ${hostname}`);
  const before = rollout.dispatches.get(hostname) ?? null;
  if (state.undo !== null) remember(state.undo, putDispatch, state, rolloutId, hostname, before);
  const held = countsInFlight(rollout, hostname);
  if (row === null) rollout.dispatches.delete(hostname);
  else rollout.dispatches.set(hostname, row);
  updateInFlight(state, rollout, hostname, held);
  markEverywhere(state, hostname);
}

export function putQuarantine(
  state: FleetState,
  channel: string,
  closure: string,
  row: QuarantineRow | null,
): void {
  const key = quarantineKey(channel, closure);
  const before = state.quarantines.get(key) ?? null;
  if (state.undo !== null) remember(state.undo, putQuarantine, state, channel, closure, before);
  if (row === null) state.quarantines.delete(key);
  else state.quarantines.set(key, row);
  markChannelRollouts(state, channel);
}

export function putToken(state: FleetState, tokenId: string, row: TokenRow | null): void {
  const before = state.tokens.get(tokenId) ?? null;
  if (state.undo !== null) remember(state.undo, putToken, state, tokenId, before);
  if (row === null) state.tokens.delete(tokenId);
  else state.tokens.set(tokenId, row);
}

/** Who may enrol concerns no plan: nobody is marked. */
export function putEnrolment(state: FleetState, nonce: string, row: EnrolmentRow | null): void {
  const before = state.enrolments.get(nonce) ?? null;
  if (state.undo !== null) remember(state.undo, putEnrolment, state, nonce, before);
  if (row === null) state.enrolments.delete(nonce);
  else state.enrolments.set(nonce, row);
}

export function putProbeFailure(
  state: FleetState,
  at: Pick<ProbeFailureRow, 'rolloutId' | 'hostname' | 'probeName' | 'controlId'>,
  row: ProbeFailureRow | null,
): void {
  const rollout = state.rollouts.get(at.rolloutId);
  if (rollout === undefined)
    throw new Error(`no rollout ${at.rolloutId} for a probe of ${at.hostname}`);
  const key = failureKey(at.probeName, at.controlId);
  const before = rollout.failures.get(at.hostname)?.get(key) ?? null;
  if (state.undo !== null) remember(state.undo, putProbeFailure, state, at, before);
  const record = rollout.records.get(at.hostname);
  const wave = record === undefined ? null : waveOf(rollout, record.wave);
  const had = wave?.outstanding ?? 0;
  if (record !== undefined) tallyRecord(state, rollout, record, -1);
  setFailure(rollout, at.hostname, key, row);
  if (record !== undefined) tallyRecord(state, rollout, record, 1);
  if (record !== undefined && (had === 0) !== ((wave?.outstanding ?? 0) === 0))
    markWavesBehind(state, rollout, record.wave);
}

function setFailure(
  rollout: RolloutState,
  hostname: string,
  key: string,
  row: ProbeFailureRow | null,
): void {
  const failures = rollout.failures.get(hostname) ?? new Map<string, ProbeFailureRow>();
  if (row === null) failures.delete(key);
  else failures.set(key, row);
  if (failures.size === 0) rollout.failures.delete(hostname);
  else rollout.failures.set(hostname, failures);
}

export function putBlocker(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  row: BlockerRow | null,
): void {
  const rollout = state.rollouts.get(rolloutId);
  if (rollout === undefined)
    throw new Error(`no rollout ${rolloutId} for the blockers of ${hostname}`);
  const before = rollout.blockers.get(hostname) ?? null;
  if (state.undo !== null) remember(state.undo, putBlocker, state, rolloutId, hostname, before);
  setWaiting(state, rollout, before, false);
  if (row === null) rollout.blockers.delete(hostname);
  else rollout.blockers.set(hostname, row);
  setWaiting(state, rollout, row, true);
}

function tallyRecord(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  by: 1 | -1,
): void {
  const outstanding = rollout.failures.get(record.hostname)?.size ?? 0;
  tally(waveOf(rollout, record.wave), record, isReachable(state, record.hostname), outstanding, by);
}

/** Of a record that has just begun to wait, or of a host that has just fallen silent: any other is known already. */
function noteAbsence(state: FleetState, rollout: RolloutState, record: RecordRow): void {
  if (!isWaiting(record) || isReachable(state, record.hostname)) return;
  const wave = waveOf(rollout, record.wave);
  wave.absences.add(record.hostname, wave.counts.pendingAbsent, absentSince(state, rollout, wave));
}

function tallyHost(state: FleetState, hostname: string, by: 1 | -1): void {
  const entry = hostEntry(state, hostname);
  for (const id of entry.rollouts) {
    const rollout = state.rollouts.get(id);
    const record = rollout?.records.get(hostname);
    if (rollout === undefined || record === undefined) continue;
    tallyRecord(state, rollout, record, by);
    if (by === 1) noteAbsence(state, rollout, record);
  }
  const declared = (state.content?.hosts.get(hostname)?.closureHash ?? null) !== null;
  if (declared && entry.row.reachability === 'reachable') state.fleetReachable += by;
}

/** Drops everything of a rollout but its row, which stays as a tombstone. */
export function* pruneRollout(state: FleetState, rolloutId: string): Sliced {
  const rollout = state.rollouts.get(rolloutId);
  if (rollout === undefined) return;
  let hosts = 0;
  for (const hostname of [...rollout.records.keys()]) {
    pruneHost(state, rollout, hostname);
    hosts += 1;
    if (hosts % SLICE_HOSTS === 0) yield;
  }
}

/** Whatever hangs on a host's record, and the record last. */
function pruneHost(state: FleetState, rollout: RolloutState, hostname: string): void {
  const { rolloutId } = rollout.row;
  if (rollout.blockers.has(hostname)) putBlocker(state, rolloutId, hostname, null);
  if (rollout.dispatches.has(hostname)) putDispatch(state, rolloutId, hostname, null);
  for (const failure of [...(rollout.failures.get(hostname)?.values() ?? [])])
    putProbeFailure(state, failure, null);
  putRecord(state, rolloutId, hostname, null);
}

export function freshHost(hostname: string): HostRow {
  return {
    seq: 0,
    hostname,
    reportedClosure: null,
    reachability: 'never',
    reachabilityAt: null,
    hold: null,
    settledClosure: null,
  };
}

/** A host of which there is neither a row nor a record does not exist. */
function forgetUnknownHost(state: FleetState, hostname: string): void {
  const entry = state.hosts.get(hostname);
  if (entry?.row.seq === 0 && entry.rollouts.size === 0) state.hosts.delete(hostname);
}

const NOWHERE: readonly string[] = [];

function hostEntry(state: FleetState, hostname: string): HostState {
  const known = state.hosts.get(hostname);
  if (known !== undefined) return known;
  const made: HostState = { row: freshHost(hostname), rollouts: new Set(), open: NOWHERE };
  state.hosts.set(hostname, made);
  return made;
}

/** Called only for a preview: in earnest a row is put without making a closure, and there are many. */
function remember<A extends readonly unknown[]>(
  undo: (() => void)[],
  put: (...args: A) => void,
  ...args: A
): void {
  undo.push(() => {
    put(...args);
  });
}
