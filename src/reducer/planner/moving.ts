/** When a host counts as moving: it may be restarting services, so budgets and busy-checks must see it. */
import type { Settings } from '../settings.ts';
import type { RecordRow } from '../state/rows.ts';
import type { RolloutState } from '../state/state.ts';
import { addMinutes, millisOf, MINUTE, type Millis, type Time } from '../time.ts';

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

/**
 * When the soak is due, or at the latest: an agent that took an earlier dispatch, or whose clock is behind (which
 * looks the same from here), keeps a soak that we do not know. It is over no later than that of our own grant; where that
 * was taken back, or there was none, no later than one that began when we heard that the switch was over.
 */
export function soakedBy({ row }: RolloutState, record: RecordRow): Time | null {
  const { soakDueAt, dispatchedAt, completedAppliedAt, wave } = record;
  const from = dispatchedAt ?? completedAppliedAt;
  if (soakDueAt !== null || from === null) return soakDueAt;
  return addMinutes(from, row.plan.soakMinutes[wave] ?? 0);
}

/** Since when the soak of a host that still soaks is over; null while it is not, and of whoever soaks no more. */
export function soakOverSince(rollout: RolloutState, record: RecordRow, now: Millis): Time | null {
  if (record.closed !== null || record.state !== 'Soaking') return null;
  const due = soakedBy(rollout, record);
  if (due === null) return null;
  // A switch may take longer than the soak that was granted with it.
  const { completedAppliedAt: began } = record;
  const over = began !== null && began > due ? began : due;
  return millisOf(over) <= now ? over : null;
}

/**
 * Since when a move has been silent: its last sign of life here, or when its soak was due if that is later.
 * Null for what does not move, or never gave a sign.
 */
export function silentSince(rollout: RolloutState, record: RecordRow): Time | null {
  if (!isMoving(record)) return null;
  const signs = [soakedBy(rollout, record), record.lastAcceptedAt, record.synthesisedAt];
  return signs.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}

/** Silent for longer than the grace: whether it still counts depends on whether the host was heard. */
export function isMoveOverdue(
  rollout: RolloutState,
  record: RecordRow,
  settings: Settings,
  now: Millis,
): boolean {
  const since = silentSince(rollout, record);
  return since !== null && now - millisOf(since) >= settings.moveGraceMinutes * MINUTE;
}

/** Failed, and its agent is to put the former closure back: nobody has heard yet that it did. */
export function isRollingBack(record: RecordRow): boolean {
  return (
    record.state === 'Failed' &&
    record.policyApplied === 'rollback-and-halt' &&
    !record.rollbackFailed
  );
}
