/** An acknowledged newer rollout closes what is still open of the host in older ones. */
import type { Pass } from '../pass.ts';
import type { Change } from '../state/change.ts';
import type { RecordRow } from '../state/rows.ts';
import type { RolloutState } from '../state/state.ts';

export function abandonOlder(pass: Pass, newer: RolloutState, hostname: string): void {
  for (const id of pass.state.hosts.get(hostname)?.open ?? []) {
    const older = pass.state.rollouts.get(id);
    const record = older?.records.get(hostname);
    if (older === undefined || record === undefined || older.row.ordinal >= newer.row.ordinal)
      continue;
    closeRecord(pass, older, record, 'abandoned');
  }
}

export function closeRecord(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  closed: 'abandoned' | 'written-off',
): number {
  const { rolloutId, hostname, channel, state } = record;
  const changes: Change[] = [{ t: 'record', rolloutId, hostname, set: { closed } }];
  if (closed === 'written-off') changes.push(...unsettled(rollout, record));
  if (rollout.dispatches.has(hostname))
    changes.push({ t: 'dispatch', rolloutId, hostname, set: null });
  return pass.emit({
    kind: 'transition',
    hostname,
    rolloutId,
    channel,
    payload: { from: state, to: state, closed },
    changes,
  });
}

/**
 * For a record that is forgotten, or closed without a word of its host: what it was, or may have been, offered may still
 * be on its way there. So the closure that it settled on before says no more that it is unchanged.
 */
export function unsettled(rollout: RolloutState, record: RecordRow): Change[] {
  const { hostname, state, wasOffered } = record;
  if (state !== 'Pending' || !(wasOffered || rollout.dispatches.has(hostname))) return [];
  return [{ t: 'host', hostname, set: { settledClosure: null } }];
}
