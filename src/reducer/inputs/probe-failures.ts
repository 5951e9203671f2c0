/**
 * Which enforced probes and controls are failing now, by their latest result. Kept as rows, because later
 * waves wait for them and operators ask for them.
 */
import type { HostEvent, ProbeMode, ProbeVerdict } from '../host/events.ts';
import type { Change } from '../state/change.ts';
import type { ProbeFailureRow, RecordRow } from '../state/rows.ts';
import { failureKey, type RolloutState } from '../state/state.ts';
import type { Time } from '../time.ts';

/** Of one host in one rollout: as many as it may have probes. Whoever has as many waits for the first of them anyway. */
const MOST_FAILURES = 1_000;

type ProbeResult = Extract<HostEvent, { kind: 'ProbeResult' }>;

export function probeFailureChanges(
  rollout: RolloutState,
  record: RecordRow,
  event: HostEvent,
): Change[] {
  const known = rollout.failures.get(record.hostname);
  if (event.kind === 'ActivationCompleted') return clearedFailures(rollout, record.hostname);
  if (event.kind !== 'ProbeResult') return [];
  const changes: Change[] = [];
  let free = MOST_FAILURES - (known?.size ?? 0);
  for (const [controlId, fails] of judged(event)) {
    const before = known?.get(failureKey(event.probeName, controlId));
    if (fails && before === undefined) {
      free -= 1;
      if (free < 0) continue;
      changes.push(failing(record, event.probeName, controlId, event.observedAt));
    } else if (!fails && before !== undefined) changes.push(cleared(before));
  }
  if (event.status === 'pass' || event.mode === 'disabled') clearRest(event, known, changes);
  return changes;
}

/**
 * Whether each control fails by this result; the probe itself is the control without a name. One that is reported
 * for several frameworks fails if it does for one of them: they are one result, and none of them is the later one.
 */
function judged(event: ProbeResult): Map<string, boolean> {
  const results = new Map([['', isFailing(event.status, event.mode)]]);
  for (const { controlId, status, effectiveMode } of event.subResults ?? []) {
    const fails = isFailing(status, effectiveMode ?? 'enforce');
    results.set(controlId, fails || results.get(controlId) === true);
  }
  return results;
}

function isFailing(status: ProbeVerdict, mode: ProbeMode): boolean {
  return status === 'fail' && mode === 'enforce';
}

/** What a probe said before a switch says nothing of what runs after it. */
export function clearedFailures(rollout: RolloutState, hostname: string): Change[] {
  return inOrder(rollout.failures.get(hostname)).map(cleared);
}

/** By key, not by arrival: rows that were loaded know no arrival. */
function inOrder(known: ReadonlyMap<string, ProbeFailureRow> | undefined): ProbeFailureRow[] {
  return [...(known ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** A probe that passes, or that is no longer run, clears the controls that it does not mention: nobody reports them again. */
function clearRest(
  event: ProbeResult,
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
