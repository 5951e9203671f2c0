/**
 * Which policy a host follows when its switch or its soak fails. A rollout pins one as it opens; an agent reads it in the set
 * that it is given when it takes its dispatch, which may be a later one where a predecessor is let finish first. Both are
 * signed, and `ActivationFailed` tells of neither: so what the set in force says is noted with the acknowledgement.
 */
import type { HealthPolicy } from '../host/events.ts';
import type { RecordRow } from '../state/rows.ts';
import type { FleetState, RolloutState } from '../state/state.ts';

export function healthPolicy({ row }: RolloutState, record: RecordRow): HealthPolicy {
  return record.policyAtDispatch ?? row.plan.onHealthFailure;
}

/** Of a host that takes its dispatch now; null: as pinned. */
export function policyAtDispatch(
  { content }: FleetState,
  { row: { channel, plan } }: RolloutState,
): HealthPolicy | null {
  if (content === null) return null;
  const name = content.channels.get(channel)?.rolloutPolicy ?? '';
  const inForce = content.policies.get(name)?.onHealthFailure ?? 'halt';
  return inForce === plan.onHealthFailure ? null : inForce;
}
