/** What a host that others wait for, or that waits itself, is at: a few words, read off the state. */
import { countsInFlight } from '../state/flight.ts';
import type { RecordRow } from '../state/rows.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { Millis } from '../time.ts';
import { isRollingBack } from '../planner/moving.ts';
import { givenUp, rebootPendingSince, unreachableSince } from './explain-remark.ts';
import { soakingDoing } from './overdue.ts';

/** A host and what it does in a rollout. */
export interface Standing {
  readonly hostname: string;
  /** Null when it has no record there. */
  readonly state: string | null;
  /** A few words: what it is at, since or until when. */
  readonly doing: string;
}

/** Where it moves, if it does; else where the question is about; else in its newest rollout. */
export function standingOf(
  state: FleetState,
  rollout: RolloutState | undefined,
  hostname: string,
  now: Millis,
): Standing {
  const others = [...(state.hosts.get(hostname)?.rollouts ?? [])]
    .flatMap((id) => state.live.get(id) ?? [])
    .sort((a, b) => b.row.ordinal - a.row.ordinal);
  const all = rollout === undefined ? others : [rollout, ...others];
  const places = all.filter(({ records }) => records.has(hostname));
  const place = places.find((one) => countsInFlight(one, hostname)) ?? places[0];
  const record = place?.records.get(hostname);
  if (place === undefined || record === undefined)
    return {
      hostname,
      state: null,
      doing: rollout === undefined ? 'in no rollout' : 'not in this rollout',
    };
  const silent = unreachableSince(state, record);
  const doing = `${doingIn(state, place, record, now)}${silent === null ? '' : `, unreachable since ${silent}`}`;
  const where = place === rollout ? '' : ` in ${place.row.rolloutId}`;
  return { hostname, state: record.state, doing: `${doing}${where}` };
}

function doingIn(state: FleetState, rollout: RolloutState, record: RecordRow, now: Millis): string {
  if (record.closed !== null) return record.closed;
  switch (record.state) {
    case 'Pending':
      return pendingDoing(state, rollout, record);
    case 'Activating':
      return `switching since ${record.activationStartedAt ?? record.dispatchAckedAt ?? 'an unknown time'}`;
    case 'Deferred':
      return `staged, waits for a reboot since ${rebootPendingSince(record) ?? 'an unknown time'}`;
    case 'Soaking':
      return soakingDoing(rollout, record, now);
    case 'Failed':
      return isRollingBack(record)
        ? `rolling back since ${record.failedAt ?? 'an unknown time'}`
        : `failed at ${record.failedAt ?? 'an unknown time'}${record.rollbackFailed ? ', and so did its rollback' : ''}`;
    case 'Converged':
      return `converged at ${record.convergedAt ?? 'an unknown time'}`;
    case 'Reverted':
      return `back on ${record.revertedTo ?? 'its former closure'} since ${record.revertedAt ?? 'an unknown time'}`;
  }
}

function pendingDoing(state: FleetState, rollout: RolloutState, record: RecordRow): string {
  const { hostname } = record;
  const dispatch = rollout.dispatches.get(hostname);
  if (dispatch !== undefined) {
    const kept = dispatch.suspended ? ', not offered now' : '';
    const lost = givenUp(state, dispatch);
    const until = lost === null ? '' : `, unreachable since ${lost.since}, given up ${lost.when}`;
    return `dispatched at ${dispatch.enqueuedAt}, not acknowledged${kept}${until}`;
  }
  const host = state.hosts.get(hostname)?.row;
  if (host?.reachability !== 'reachable') {
    return host?.reachabilityAt == null
      ? 'never heard'
      : `unreachable since ${host.reachabilityAt}`;
  }
  const gates = rollout.blockers.get(hostname)?.gates ?? [];
  return gates.length === 0 ? 'waits for a dispatch' : `held by ${gates.join(', ')}`;
}
