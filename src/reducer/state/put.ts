/**
 * Replaces one row and keeps everything that is derived from it: counters, budgets, reverse indexes, and
 * the marks for the next planning pass. `null` removes. Nothing else in the core writes to the state.
 */
import { isMoving } from '../planner/moving.ts';
import { dispatches as mayDispatch } from '../rollout/states.ts';
import { markHost } from './dirty.ts';
import {
  failureKey,
  isReachable,
  newRolloutState,
  quarantineKey,
  waveOf,
  type BudgetState,
  type FleetState,
  type RolloutState,
} from './state.ts';
import { tally } from './tally.ts';
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
} from './rows.ts';

export function putFleet(state: FleetState, row: FleetRow): void {
  const before = state.fleet;
  remember(state, () => {
    putFleet(state, before);
  });
  state.fleet = row;
  const held = (before.pause === null) !== (row.pause === null);
  if (held || before.rejectBefore !== row.rejectBefore) state.dirty.all = true;
}

export function putChannel(state: FleetState, name: string, row: ChannelRow | null): void {
  const before = state.channels.get(name) ?? null;
  remember(state, () => {
    putChannel(state, name, before);
  });
  if (row === null) state.channels.delete(name);
  else state.channels.set(name, row);
  state.dirty.channels.add(name);
  for (const id of [row?.currentRolloutId, before?.currentRolloutId]) {
    if (id !== null && id !== undefined) state.dirty.rollouts.add(id);
  }
  if (before?.pause !== row?.pause) markChannelRollouts(state, name);
  if (
    before?.currentRolloutId !== row?.currentRolloutId ||
    before?.declaredRef !== row?.declaredRef
  ) {
    markGatedChannels(state, name);
  }
}

export function putRollout(state: FleetState, id: string, row: RolloutRow | null): void {
  const entry = state.rollouts.get(id);
  const before = entry?.row ?? null;
  remember(state, () => {
    putRollout(state, id, before);
  });
  if (row === null) {
    state.rollouts.delete(id);
    return;
  }
  if (entry === undefined) state.rollouts.set(id, newRolloutState(row));
  else entry.row = row;
  markRollout(state, before, row);
}

function markRollout(state: FleetState, before: RolloutRow | null, row: RolloutRow): void {
  state.dirty.progress.add(row.rolloutId);
  if (before === null || before.currentWave !== row.currentWave)
    state.dirty.rollouts.add(row.rolloutId);
  if (before?.state === row.state) return;
  state.dirty.channels.add(row.channel);
  if (before === null || mayDispatch(before.state) !== mayDispatch(row.state)) {
    state.dirty.rollouts.add(row.rolloutId);
  }
  if (before?.state === 'Terminal' || row.state === 'Terminal')
    markGatedChannels(state, row.channel);
}

function markChannelRollouts(state: FleetState, channel: string): void {
  for (const rollout of state.rollouts.values()) {
    if (rollout.row.channel === channel) state.dirty.rollouts.add(rollout.row.rolloutId);
  }
}

/** The rollouts that a channel edge may hold because of `gating`. */
function markGatedChannels(state: FleetState, gating: string): void {
  for (const edge of state.content?.channelEdges ?? []) {
    const current = edge.gates === gating ? state.channels.get(edge.gated)?.currentRolloutId : null;
    if (current !== null && current !== undefined) state.dirty.rollouts.add(current);
  }
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
  remember(state, () => {
    putRecord(state, rolloutId, hostname, before);
  });
  const held = countsInFlight(rollout, hostname);
  if (before !== null) tallyRecord(state, rollout, before, -1);
  if (row === null) {
    rollout.records.delete(hostname);
    state.hosts.get(hostname)?.rollouts.delete(rolloutId);
  } else {
    rollout.records.set(hostname, row);
    tallyRecord(state, rollout, row, 1);
    hostEntry(state, hostname).rollouts.add(rolloutId);
  }
  updateInFlight(state, rollout, hostname, held);
  markRecord(state, rollout, hostname, before, row);
}

function markRecord(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  before: RecordRow | null,
  row: RecordRow | null,
): void {
  const { dirty } = state;
  const rolloutId = rollout.row.rolloutId;
  markHost(dirty, rolloutId, hostname);
  if (
    before?.state === row?.state &&
    before?.closed === row?.closed &&
    before?.stuck === row?.stuck
  ) {
    if (before?.cleared !== row?.cleared) dirty.progress.add(rolloutId);
    return;
  }
  dirty.progress.add(rolloutId);
  for (const gated of state.gatedBy.get(hostname) ?? []) markHost(dirty, rolloutId, gated);
  for (const other of state.hosts.get(hostname)?.rollouts ?? []) markHost(dirty, other, hostname);
  const outstanding = rollout.failures.get(hostname)?.size ?? 0;
  if (outstanding > 0) dirty.rollouts.add(rolloutId);
}

export function putHost(state: FleetState, hostname: string, row: HostRow): void {
  const entry = hostEntry(state, hostname);
  const before = entry.row;
  remember(state, () => {
    putHost(state, hostname, before);
  });
  const moved = (before.reachability === 'reachable') !== (row.reachability === 'reachable');
  if (moved) tallyHost(state, hostname, -1);
  entry.row = row;
  if (moved) tallyHost(state, hostname, 1);
  for (const id of entry.rollouts) {
    markHost(state.dirty, id, hostname);
    if (moved) state.dirty.progress.add(id);
  }
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
  remember(state, () => {
    putDispatch(state, rolloutId, hostname, before);
  });
  const held = countsInFlight(rollout, hostname);
  if (row === null) rollout.dispatches.delete(hostname);
  else rollout.dispatches.set(hostname, row);
  updateInFlight(state, rollout, hostname, held);
  markHost(state.dirty, rolloutId, hostname);
}

export function putQuarantine(
  state: FleetState,
  channel: string,
  closure: string,
  row: QuarantineRow | null,
): void {
  const key = quarantineKey(channel, closure);
  const before = state.quarantines.get(key) ?? null;
  remember(state, () => {
    putQuarantine(state, channel, closure, before);
  });
  if (row === null) state.quarantines.delete(key);
  else state.quarantines.set(key, row);
  markChannelRollouts(state, channel);
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
  remember(state, () => {
    putProbeFailure(state, at, before);
  });
  const record = rollout.records.get(at.hostname);
  const wave = record === undefined ? null : waveOf(rollout, record.wave);
  const had = wave?.outstanding ?? 0;
  if (record !== undefined) tallyRecord(state, rollout, record, -1);
  setFailure(rollout, at.hostname, key, row);
  if (record !== undefined) tallyRecord(state, rollout, record, 1);
  if ((had === 0) !== ((wave?.outstanding ?? 0) === 0)) state.dirty.rollouts.add(at.rolloutId);
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
  remember(state, () => {
    putBlocker(state, rolloutId, hostname, before);
  });
  setWaiting(state, rollout, hostname, before, false);
  if (row === null) rollout.blockers.delete(hostname);
  else rollout.blockers.set(hostname, row);
  setWaiting(state, rollout, hostname, row, true);
}

/** A host that only budgets hold waits for a slot in each of them. */
function setWaiting(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  row: BlockerRow | null,
  waits: boolean,
): void {
  if (row === null || !row.gates.every((gate) => gate.startsWith('disruption-budget:'))) return;
  const { rolloutId } = rollout.row;
  for (const index of rollout.hostBudgets.get(hostname) ?? []) {
    const budget = budgetState(state, rollout, index);
    const key = `${rolloutId}\u0000${hostname}`;
    if (waits) budget.waiters.set(key, [rolloutId, hostname]);
    else budget.waiters.delete(key);
  }
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

function tallyHost(state: FleetState, hostname: string, by: 1 | -1): void {
  const entry = hostEntry(state, hostname);
  for (const id of entry.rollouts) {
    const rollout = state.rollouts.get(id);
    const record = rollout?.records.get(hostname);
    if (rollout !== undefined && record !== undefined) tallyRecord(state, rollout, record, by);
  }
  const declared = (state.content?.hosts.get(hostname)?.closureHash ?? null) !== null;
  if (declared && entry.row.reachability === 'reachable') state.fleetReachable += by;
}

/** Moving, or granted and not yet acknowledged. */
function countsInFlight(rollout: RolloutState, hostname: string): boolean {
  const record = rollout.records.get(hostname);
  if (record === undefined) return false;
  const granted =
    record.state === 'Pending' && record.closed === null && rollout.dispatches.has(hostname);
  return granted || isMoving(record);
}

function updateInFlight(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  held: boolean,
): void {
  const holds = countsInFlight(rollout, hostname);
  if (holds === held) return;
  const keys = new Set<string>();
  for (const index of rollout.hostBudgets.get(hostname) ?? []) {
    const budget = budgetState(state, rollout, index);
    if (keys.has(budget.key)) continue;
    keys.add(budget.key);
    const count = (budget.inFlight.get(hostname) ?? 0) + (holds ? 1 : -1);
    if (count === 0) budget.inFlight.delete(hostname);
    else budget.inFlight.set(hostname, count);
    if (!holds) state.dirty.budgets.add(budget.key);
  }
}

/** Drops everything of a rollout but its row, which stays as a tombstone. */
export function pruneRollout(state: FleetState, rolloutId: string): void {
  const rollout = state.rollouts.get(rolloutId);
  if (rollout === undefined) return;
  for (const hostname of [...rollout.blockers.keys()]) putBlocker(state, rolloutId, hostname, null);
  for (const hostname of [...rollout.dispatches.keys()])
    putDispatch(state, rolloutId, hostname, null);
  for (const failures of [...rollout.failures.values()]) {
    for (const failure of [...failures.values()]) putProbeFailure(state, failure, null);
  }
  for (const hostname of [...rollout.records.keys()]) putRecord(state, rolloutId, hostname, null);
}

/** The shared state of a rollout's budget number `index`. */
export function budgetState(state: FleetState, rollout: RolloutState, index: number): BudgetState {
  const key = rollout.row.plan.budgets[index]?.key;
  if (key === undefined)
    throw new Error(`rollout ${rollout.row.rolloutId} has no budget ${String(index)}`);
  const known = state.budgets.get(key);
  if (known !== undefined) return known;
  const made: BudgetState = { key, inFlight: new Map(), waiters: new Map() };
  state.budgets.set(key, made);
  return made;
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

function hostEntry(
  state: FleetState,
  hostname: string,
): { row: HostRow; readonly rollouts: Set<string> } {
  const known = state.hosts.get(hostname);
  if (known !== undefined) return known;
  const made = { row: freshHost(hostname), rollouts: new Set<string>() };
  state.hosts.set(hostname, made);
  return made;
}

function remember(state: FleetState, restore: () => void): void {
  state.undo?.push(restore);
}
