/** What closes records before their end: a newer rollout that its host took, or runs already, and an operator's write-off. */
import type { Pass } from './pass.ts';
import { hasEnded } from './rollout/states.ts';
import type { Change } from './state/change.ts';
import type { RecordRow } from './state/rows.ts';
import type { RolloutState } from './state/state.ts';

/** Of a newer rollout that its host took, as any event of it proves: its acknowledgement may have been lost. */
export function abandonOlder(pass: Pass, newer: RolloutState, hostname: string): void {
  for (const [older, record] of olderOpen(pass, newer, hostname))
    closeRecord(pass, older, record, 'abandoned');
}

/**
 * Of a newer rollout whose release its host runs, though it acknowledged nothing: where it still waits for an older one it
 * would be moved back. What it may have been offered it may have taken, and has to finish; what ended moves nobody.
 */
export function abandonWaiting(pass: Pass, newer: RolloutState, hostname: string): void {
  for (const [older, record] of olderOpen(pass, newer, hostname)) {
    const waits = record.state === 'Pending' && !wasOffered(pass, older, record);
    if (waits && !hasEnded(older.row.state)) closeRecord(pass, older, record, 'abandoned');
  }
}

function olderOpen(
  { state }: Pass,
  newer: RolloutState,
  hostname: string,
): readonly (readonly [RolloutState, RecordRow])[] {
  const found: (readonly [RolloutState, RecordRow])[] = [];
  for (const id of state.hosts.get(hostname)?.open ?? []) {
    const older = state.rollouts.get(id);
    const record = older?.records.get(hostname);
    if (older === undefined || record === undefined) continue;
    if (older.row.ordinal < newer.row.ordinal) found.push([older, record]);
  }
  return found;
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

/** Its agent may have fetched what this record's rollout dispatched to it. */
export function wasOffered(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  return rollout.dispatches.has(record.hostname)
    ? pass.offerOf(record.rolloutId, record.hostname) !== 'never'
    : record.wasOffered;
}
