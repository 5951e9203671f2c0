/**
 * Moves rollouts: opened → active → next wave → converging → terminal, or failed. Decided from counters,
 * after the host step and before any grant, so that a pass grants by where the rollout now stands.
 */
import type { Pass } from '../pass.ts';
import { stepRollout, type RolloutEvent, isUnderway } from '../rollout/step-rollout.ts';
import { budgetState, highest } from '../state/flight.ts';
import { limitOf } from './limit.ts';
import type { RolloutState } from '../state/state.ts';
import type { Bucket } from '../state/tally.ts';
import {
  blockerOf,
  isAnyoneUnpromoted,
  isEveryWaveSettled,
  soakEnd,
  standingOf,
} from './settle.ts';

/** Advances one rollout as far as it will go. */
export function advanceRollout(pass: Pass, rollout: RolloutState): void {
  if (rollout.row.state === 'Opening' && someoneMoved(rollout)) {
    apply(pass, rollout, { kind: 'HostJoined', at: pass.at });
  }
  checkFailures(pass, rollout);
  if (isUnderway(rollout.row.state)) {
    advanceWaves(pass, rollout);
    checkConverging(pass, rollout);
    checkTerminal(pass, rollout);
  }
  noteBlockers(pass, rollout);
  // A successor that was kept back may come as soon as all are settled, whatever the rollout's state.
  const { channel, rolloutId } = rollout.row;
  const row = pass.state.channels.get(channel);
  if (row?.currentRolloutId === rolloutId && row.waitingRef !== null) {
    pass.state.dirty.channels.add(channel);
  }
}

/** Applies a rollout event, and logs it when it changed something. */
export function apply(
  pass: Pass,
  rollout: RolloutState,
  event: RolloutEvent,
  facts: Readonly<Record<string, unknown>> = {},
): boolean {
  const set = stepRollout(rollout.row, event);
  if (set === null || Object.keys(set).length === 0) return false;
  const { rolloutId, channel, state } = rollout.row;
  pass.emit({
    kind: 'rollout_event',
    rolloutId,
    channel,
    payload: { event: event.kind, from: state, to: set.state ?? state, ...facts },
    changes: [{ t: 'rollout', rolloutId, set }],
  });
  return true;
}

function count(rollout: RolloutState, bucket: Bucket): number {
  let sum = 0;
  for (const wave of rollout.waves) sum += wave.counts[bucket];
  return sum;
}

function someoneMoved(rollout: RolloutState): boolean {
  return rollout.waves.some((wave) => wave.total > wave.pending.size);
}

function checkFailures(pass: Pass, rollout: RolloutState): void {
  const failed = count(rollout, 'failed');
  const reverted = count(rollout, 'reverted');
  if (failed + reverted === 0) return;
  const { maxFailures } = rollout.row.plan;
  const facts = { failures: failed + reverted, reverted, maxFailures };
  apply(pass, rollout, { kind: 'HostStateChanged', at: pass.at, ...facts }, facts);
}

function advanceWaves(pass: Pass, rollout: RolloutState): void {
  for (;;) {
    const index = rollout.row.currentWave;
    const wave = rollout.waves[index];
    if (wave === undefined || index + 1 >= rollout.waves.length) return;
    if (standingOf(pass.state, rollout, wave, pass.now).kind !== 'settled') return;
    const soaked = soakEnd(rollout, index);
    if (soaked !== null && pass.now < soaked) return;
    const move = { fromWave: index, toWave: index + 1 };
    const facts = { ...move, empty: wave.total === 0 };
    if (!apply(pass, rollout, { kind: 'WaveAdvanced', at: pass.at, ...move }, facts)) return;
  }
}

function checkConverging(pass: Pass, rollout: RolloutState): void {
  const last = rollout.waves.length - 1;
  const wave = rollout.waves[last];
  if (wave === undefined || rollout.row.currentWave < last || rollout.row.state !== 'Active')
    return;
  const { pendingPresent, pendingAbsent, activating, deferred } = wave.counts;
  if (pendingPresent + pendingAbsent + activating + deferred === 0) {
    apply(pass, rollout, { kind: 'LastWaveSoaking', at: pass.at });
  }
}

/**
 * Through when nobody is waited for. An earlier wave may soak on then, but not while somebody is absent from a wave that
 * the cursor has not reached: that host would return to wait for a promotion that no longer comes, and is told of it
 * meanwhile (`wave-promotion`).
 */
function checkTerminal(pass: Pass, rollout: RolloutState): void {
  if (!isUnderway(rollout.row.state) || count(rollout, 'deferred') > 0) return;
  if (isAnyoneUnpromoted(rollout)) return;
  if (!isEveryWaveSettled(pass.state, rollout, pass.now)) return;
  const exceptions = countExceptions(rollout);
  apply(pass, rollout, { kind: 'AllSettled', at: pass.at, exceptions }, { exceptions });
}

const EXCEPTIONS: readonly Bucket[] = ['pendingAbsent', 'failed', 'reverted', 'cleared', 'closed'];

function countExceptions(rollout: RolloutState): Record<string, number> {
  const exceptions: Record<string, number> = {};
  for (const bucket of EXCEPTIONS) {
    const hosts = count(rollout, bucket);
    if (hosts > 0) exceptions[bucket === 'pendingAbsent' ? 'absent' : bucket] = hosts;
  }
  return exceptions;
}

/** Rollout-wide reasons, beyond any host's gates, that an operator should see. */
function noteBlockers(pass: Pass, rollout: RolloutState): void {
  const blockers = [...waveBlockers(pass, rollout), ...exceededBudgets(pass, rollout)].sort();
  const before = rollout.row.blockers;
  if (before.length === blockers.length && before.every((key, i) => key === blockers[i])) return;
  const { rolloutId, channel, blockersSince: noted } = rollout.row;
  const times = blockers.map((key) => [key, noted?.[key] ?? pass.at] as const);
  const blockersSince = times.length === 0 ? null : Object.fromEntries(times);
  pass.emit({
    kind: 'gate_decision',
    rolloutId,
    channel,
    payload: { scope: 'rollout', gates: blockers },
    changes: [{ t: 'rollout', rolloutId, set: { blockers, blockersSince } }],
  });
}

function waveBlockers(pass: Pass, rollout: RolloutState): string[] {
  if (!isUnderway(rollout.row.state)) return [];
  const blocker = blockerOf(pass.state, rollout, pass.now);
  return blocker === null ? [] : [blocker];
}

// Only what the planner cannot prevent gets here: a late acknowledgement, a reboot, a lowered limit. Rollouts
// that share a budget may limit it differently (a share of more hosts is more): what one may grant is no alarm.
function exceededBudgets(pass: Pass, rollout: RolloutState): string[] {
  // Whoever may grant must not until it is gone, one that is through included while hosts may return to it.
  if (!rollout.isPinned) return [];
  const keys: string[] = [];
  rollout.row.plan.budgets.forEach((budget, index) => {
    // A budget that selects none of this rollout's hosts has no say here: its share would be of nobody.
    const limit = budget.hosts.length === 0 ? null : limitOf(budget);
    const shared = budgetState(pass.state, rollout, index);
    if (limit !== null && shared.inFlight.size > Math.max(limit, highest(pass.state, shared)))
      keys.push(`budget-exceeded:${String(index)}`);
  });
  return keys;
}
