/**
 * Remarks on hosts that no gate holds but that do not get on: shown beside the gates, under the same keys'
 * table, so that "why does it not move?" has one answer.
 */
import type { Pass } from '../pass.ts';
import { soakOverSince } from './moving.ts';
import { hasListened } from './silence.ts';
import type { RolloutState } from '../state/state.ts';
import type { RecordRow } from '../state/rows.ts';
import { millisOf, MINUTE, type Time } from '../time.ts';

const NONE: readonly string[] = [];

/** A host that does not get out of its soak. */
export const SOAK_OVERDUE = 'soak-overdue';

/** Agents look at their probes every minute or so: one that has missed five looks says nothing by itself. */
const UNSAID_MINUTES = 5;

/** The standing remarks on a record that is not waiting for a grant. */
export function remarksOn(pass: Pass, rollout: RolloutState, record: RecordRow): readonly string[] {
  if (record.closed !== null) return NONE;
  const keys: string[] = [];
  if (record.rollbackFailed && record.state === 'Failed') keys.push('rollback-failed');
  if (record.stuck) keys.push('stuck-move');
  if (isSilent(pass, rollout, record)) keys.push('probe-silent');
  if (isOverdue(pass, rollout, record)) keys.push(SOAK_OVERDUE);
  if (isRefusing(pass, rollout, record)) keys.push('dispatch-refused');
  return keys.length === 0 ? NONE : keys.sort();
}

/** A declared enforce probe that never reported, though there was time to: shown, not held. */
function isSilent(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  const over = soakOverSince(rollout, record, pass.now);
  if (record.state !== 'Converged' && (over === null || !isLong(pass, over))) return false;
  return (record.declaredProbes ?? []).some(
    (probe) => probe.mode === 'enforce' && !Object.hasOwn(record.probes, probe.probeName),
  );
}

/**
 * Its soak is over, and it is known why it is not through; or nobody says why, for long. Once said it stays until the
 * soak ends, one way or the other: a probe that passes now and then is what holds the host all the same.
 */
function isOverdue(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  const over = soakOverSince(rollout, record, pass.now);
  if (over === null) return false;
  if (hasRemark(rollout, record, SOAK_OVERDUE)) return true;
  if (isKnownToHold(record)) return true;
  // Of who is silent, or stuck, another remark says more.
  const isHeard = pass.state.hosts.get(record.hostname)?.row.reachability === 'reachable';
  return isHeard && !record.stuck && isLong(pass, over);
}

function isLong(pass: Pass, since: Time): boolean {
  return pass.now - millisOf(since) >= UNSAID_MINUTES * MINUTE;
}

function isKnownToHold(record: RecordRow): boolean {
  return (
    failingProbes(record).length > 0 || record.contradictedBy !== null || isConvergedRefused(record)
  );
}

/** Enforced probes whose latest result keeps their host from Converged (`host/step.ts`). */
export function failingProbes({ probes }: RecordRow): readonly string[] {
  return Object.keys(probes).filter((name) => {
    const probe = probes[name];
    return probe?.mode === 'enforce' && probe.status !== 'pass';
  });
}

/** Its agent said that it converged, and was not believed: one of v0.2 does not say so again. */
export function isConvergedRefused({ lastRefusal }: RecordRow): boolean {
  return lastRefusal?.includes(':Converged:invariant-violated') ?? false;
}

function isRefusing(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  if (record.state !== 'Pending' || !rollout.dispatches.has(record.hostname)) return false;
  const offer = pass.offerOf(record.rolloutId, record.hostname);
  if (offer === null) return hasRemark(rollout, record, 'dispatch-refused');
  if (offer === 'never') return false;
  const heard = pass.heardAt(record.hostname);
  const { refusedAfterMinutes } = pass.state.settings;
  if (heard === null || !hasListened(pass.state, pass.now))
    return hasRemark(rollout, record, 'dispatch-refused');
  const late = pass.now - millisOf(offer.first) >= refusedAfterMinutes * MINUTE;
  return late && heard > offer.first;
}

/** A remark that this input knows nothing about stays as it was. */
function hasRemark(rollout: RolloutState, record: RecordRow, key: string): boolean {
  return rollout.blockers.get(record.hostname)?.gates.includes(key) ?? false;
}
