/**
 * Remarks on hosts that no gate holds but that do not get on: shown beside the gates, under the same keys'
 * table, so that "why does it not move?" has one answer.
 */
import type { Pass } from '../pass.ts';
import { soakedBy } from './moving.ts';
import type { RolloutState } from '../state/state.ts';
import type { RecordRow } from '../state/rows.ts';
import { millisOf, MINUTE } from '../time.ts';

const NONE: readonly string[] = [];

/** The standing remarks on a record that is not waiting for a grant. */
export function remarksOn(pass: Pass, rollout: RolloutState, record: RecordRow): readonly string[] {
  if (record.closed !== null) return NONE;
  const keys: string[] = [];
  if (record.rollbackFailed && record.state === 'Failed') keys.push('rollback-failed');
  if (record.stuck) keys.push('stuck-move');
  if (isSilent(pass, rollout, record)) keys.push('probe-silent');
  if (isRefusing(pass, rollout, record)) keys.push('dispatch-refused');
  return keys.length === 0 ? NONE : keys.sort();
}

/** A declared enforce probe that never reported: shown, not held. */
function isSilent(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  if (record.state !== 'Converged' && !(record.state === 'Soaking' && isDue(pass, rollout, record)))
    return false;
  return (record.declaredProbes ?? []).some(
    (probe) => probe.mode === 'enforce' && !Object.hasOwn(record.probes, probe.probeName),
  );
}

function isDue(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  const due = soakedBy(rollout, record);
  return due !== null && pass.at >= due;
}

function isRefusing(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  if (record.state !== 'Pending' || !rollout.dispatches.has(record.hostname)) return false;
  const offer = pass.offerOf(record.rolloutId, record.hostname);
  if (offer === null) return hasRemark(rollout, record, 'dispatch-refused');
  if (offer === 'never') return false;
  const heard = pass.heardAt(record.hostname);
  if (heard === null) return hasRemark(rollout, record, 'dispatch-refused');
  const late = pass.now - millisOf(offer.first) >= pass.state.settings.refusedAfterMinutes * MINUTE;
  return late && heard > offer.first;
}

/** A remark that this input knows nothing about stays as it was. */
function hasRemark(rollout: RolloutState, record: RecordRow, key: string): boolean {
  return rollout.blockers.get(record.hostname)?.gates.includes(key) ?? false;
}
