/** When a host counts as moving: it may be restarting services, so budgets and busy-checks must see it. */
import type { RecordRow } from '../state/rows.ts';

/** Activating, or failed and on its way back: nothing else may be asked of this host meanwhile. */
export function isBusy(record: RecordRow): boolean {
  if (record.closed !== null || record.stuck) return false;
  return record.state === 'Activating' || isRollingBack(record);
}

/** Busy, or soaking: what a disruption budget counts. */
export function isMoving(record: RecordRow): boolean {
  if (record.closed !== null || record.stuck) return false;
  return record.state === 'Soaking' || isBusy(record);
}

function isRollingBack(record: RecordRow): boolean {
  return (
    record.state === 'Failed' &&
    record.policyApplied === 'rollback-and-halt' &&
    !record.rollbackFailed
  );
}
