/**
 * Which enforced probes and controls are failing now, by their latest result. Kept as rows, because later
 * waves wait for them and operators ask for them.
 */
import type { HostEvent, ProbeMode, ProbeVerdict } from '../host/events.ts';
import type { Change } from '../state/change.ts';
import type { ProbeFailureRow, RecordRow } from '../state/rows.ts';
import { failureKey, type RolloutState } from '../state/state.ts';
import type { Time } from '../time.ts';

export function probeFailureChanges(
  rollout: RolloutState,
  record: RecordRow,
  event: HostEvent,
): Change[] {
  const known = rollout.failures.get(record.hostname);
  if (event.kind === 'ActivationCompleted') return clearedFailures(rollout, record.hostname);
  if (event.kind !== 'ProbeResult') return [];
  const changes: Change[] = [];
  const judge = (controlId: string, status: ProbeVerdict, mode: ProbeMode) => {
    const before = known?.get(failureKey(event.probeName, controlId));
    const fails = status === 'fail' && mode === 'enforce';
    if (fails && before === undefined) {
      changes.push(failing(record, event.probeName, controlId, event.observedAt));
    } else if (!fails && before !== undefined) changes.push(cleared(before));
  };
  judge('', event.status, event.mode);
  for (const sub of event.subResults ?? [])
    judge(sub.controlId, sub.status, sub.effectiveMode ?? 'enforce');
  if (event.status === 'pass') clearRest(event, known, changes);
  return changes;
}

/** What a probe said before a switch says nothing of what runs after it. */
export function clearedFailures(rollout: RolloutState, hostname: string): Change[] {
  return inOrder(rollout.failures.get(hostname)).map(cleared);
}

/** By key, not by arrival: rows that were loaded know no arrival. */
function inOrder(known: ReadonlyMap<string, ProbeFailureRow> | undefined): ProbeFailureRow[] {
  return [...(known ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** A passing probe clears the controls that it no longer mentions. */
function clearRest(
  event: Extract<HostEvent, { kind: 'ProbeResult' }>,
  known: ReadonlyMap<string, ProbeFailureRow> | undefined,
  changes: Change[],
): void {
  const mentioned = new Set(['', ...(event.subResults ?? []).map((sub) => sub.controlId)]);
  for (const row of inOrder(known)) {
    if (row.probeName === event.probeName && !mentioned.has(row.controlId))
      changes.push(cleared(row));
  }
}

function failing(record: RecordRow, probeName: string, controlId: string, since: Time): Change {
  const { rolloutId, hostname } = record;
  return { t: 'probeFailure', rolloutId, hostname, probeName, controlId, set: { since } };
}

function cleared(row: ProbeFailureRow): Change {
  const { rolloutId, hostname, probeName, controlId } = row;
  return { t: 'probeFailure', rolloutId, hostname, probeName, controlId, set: null };
}
