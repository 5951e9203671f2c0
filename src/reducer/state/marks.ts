/**
 * Whom a replaced row concerns: what the next planning pass must look at again. Every rule here exists
 * because a gate, a wave or a threshold reads that row; a pass over what is marked equals a full pass. What
 * changes with a set of manifests alone (refs, windows, signatures) has none: such a set marks everything.
 */
import { dispatches as mayDispatch, hasEnded } from '../rollout/states.ts';
import { markHost } from './dirty.ts';
import type { ChannelRow, RecordRow, RolloutRow } from './rows.ts';
import type { FleetState, RolloutState } from './state.ts';

export function markChannel(
  state: FleetState,
  name: string,
  before: ChannelRow | null,
  row: ChannelRow | null,
): void {
  state.dirty.channels.add(name);
  if ((before?.pause ?? null) !== (row?.pause ?? null)) markChannelRollouts(state, name);
}

export function markRollout(state: FleetState, before: RolloutRow | null, row: RolloutRow): void {
  state.dirty.progress.add(row.rolloutId);
  if (before?.currentWave !== row.currentWave) state.dirty.rollouts.add(row.rolloutId);
  if (before?.state === row.state) return;
  state.dirty.channels.add(row.channel);
  if (
    before === null ||
    mayDispatch(before.state) !== mayDispatch(row.state) ||
    hasEnded(before.state) !== hasEnded(row.state)
  ) {
    state.dirty.rollouts.add(row.rolloutId);
  }
  if (before?.state === 'Terminal' || row.state === 'Terminal') {
    markGatedChannels(state, row.channel);
  }
}

export function markChannelRollouts(state: FleetState, channel: string): void {
  for (const rollout of state.live.values()) {
    if (rollout.row.channel === channel) state.dirty.rollouts.add(rollout.row.rolloutId);
  }
}

/** The rollouts that a channel edge may hold because of `gating`. */
function markGatedChannels(state: FleetState, gating: string): void {
  for (const edge of state.content?.channelEdges ?? []) {
    const current =
      edge.gates === gating ? state.channels.get(edge.gated)?.currentRolloutId : undefined;
    if (current !== null && current !== undefined) state.dirty.rollouts.add(current);
  }
}

export function markRecord(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  before: RecordRow | null,
  row: RecordRow | null,
): void {
  const { dirty } = state;
  const { rolloutId } = rollout.row;
  // A rollout that opens is looked at whole.
  if (before === null && row?.state === 'Pending' && dirty.rollouts.has(rolloutId)) return;
  markHost(dirty, rolloutId, hostname);
  if (
    before?.state === row?.state &&
    before?.closed === row?.closed &&
    before?.stuck === row?.stuck &&
    before?.rollbackFailed === row?.rollbackFailed
  ) {
    return;
  }
  dirty.progress.add(rolloutId);
  for (const gated of state.gatedBy.get(hostname) ?? []) markHost(dirty, rolloutId, gated);
  markEverywhere(state, hostname);
}

/** Whom failures in this wave hold: of later waves, those that the cursor has reached. It holds all others itself. */
export function markWavesBehind(state: FleetState, rollout: RolloutState, wave: number): void {
  const { rolloutId, currentWave } = rollout.row;
  if (wave >= currentWave || state.dirty.rollouts.has(rolloutId)) return;
  for (const { pending } of rollout.waves.slice(wave + 1, currentWave + 1))
    for (const hostname of pending) markHost(state.dirty, rolloutId, hostname);
}

/** A host in all rollouts where it is open: what it does in one holds it in the others. */
export function markEverywhere(state: FleetState, hostname: string): void {
  for (const id of state.hosts.get(hostname)?.open ?? []) markHost(state.dirty, id, hostname);
}

/** Rollouts whose waves count a host that came or went; history waits for nobody. */
export function markProgress(state: FleetState, rollouts: Iterable<string>): void {
  for (const id of rollouts) {
    const rollout = state.live.get(id);
    if (rollout !== undefined && !hasEnded(rollout.row.state)) state.dirty.progress.add(id);
  }
}

/** Whether absence says anything depends on how much of the whole fleet is heard. */
export function markUnderway(state: FleetState): void {
  for (const id of state.live.keys()) state.dirty.progress.add(id);
}
