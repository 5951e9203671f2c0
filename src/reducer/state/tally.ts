/**
 * Counters per wave, so that "is this wave done?" costs the same for ten hosts and for a hundred thousand.
 * A record is in exactly one bucket; whoever replaces a record takes the old one out and puts the new one in.
 */
import { Absences } from './absences.ts';
import type { RecordRow } from './rows.ts';
import type { Time } from '../time.ts';

export const BUCKETS = [
  'pendingPresent',
  'pendingAbsent',
  'activating',
  'deferred',
  'soaking',
  'converged',
  'failed',
  'reverted',
  'cleared',
  'closed',
] as const;
export type Bucket = (typeof BUCKETS)[number];

export interface WaveTally {
  readonly counts: Record<Bucket, number>;
  total: number;
  /** Hosts of the wave that are reachable now. */
  reachable: number;
  /** Closed by an operator's write-off or cleared: an operator took responsibility for the wave. */
  byOperator: number;
  /** When the CP last applied a completion of a host that has since converged; null when none activated. */
  lastCompletion: Time | null;
  /** Outstanding enforced failures on Soaking or Converged hosts. */
  outstanding: number;
  /** Hosts whose record is Pending and open. */
  readonly pending: Set<string>;
  /** Those of them that are absent. */
  readonly absences: Absences;
}

export function emptyTally(): WaveTally {
  const counts: Record<Bucket, number> = {
    pendingPresent: 0,
    pendingAbsent: 0,
    activating: 0,
    deferred: 0,
    soaking: 0,
    converged: 0,
    failed: 0,
    reverted: 0,
    cleared: 0,
    closed: 0,
  };
  return {
    counts,
    total: 0,
    reachable: 0,
    byOperator: 0,
    lastCompletion: null,
    outstanding: 0,
    pending: new Set(),
    absences: new Absences(),
  };
}

export function bucketOf(record: RecordRow, reachable: boolean): Bucket {
  if (record.closed !== null) return 'closed';
  switch (record.state) {
    case 'Pending':
      return reachable ? 'pendingPresent' : 'pendingAbsent';
    case 'Activating':
      return 'activating';
    case 'Deferred':
      return 'deferred';
    case 'Soaking':
      return 'soaking';
    case 'Converged':
      return 'converged';
    case 'Failed':
      return record.cleared ? 'cleared' : 'failed';
    case 'Reverted':
      return record.cleared ? 'cleared' : 'reverted';
  }
}

/** Not begun, and not closed. */
export function isWaiting({ state, closed }: RecordRow): boolean {
  return state === 'Pending' && closed === null;
}

/** Counts against the failures that a rollout tolerates. */
export function isCounted(record: RecordRow): boolean {
  const bucket = bucketOf(record, true);
  return bucket === 'failed' || bucket === 'reverted';
}

/** Adds (`by` = 1) or removes (`by` = -1) one record. */
export function tally(
  wave: WaveTally,
  record: RecordRow,
  reachable: boolean,
  outstanding: number,
  by: 1 | -1,
): void {
  const bucket = bucketOf(record, reachable);
  wave.counts[bucket] += by;
  wave.total += by;
  if (reachable) wave.reachable += by;
  if (record.closed === 'written-off' || record.cleared) wave.byOperator += by;
  if (bucket === 'soaking' || bucket === 'converged') wave.outstanding += by * outstanding;
  if (isWaiting(record)) {
    if (by === 1) wave.pending.add(record.hostname);
    else wave.pending.delete(record.hostname);
  }
  if (by === 1 && record.state === 'Converged') noteCompletion(wave, record.completedAppliedAt);
}

// A record never leaves Converged, so the maximum only grows; nor does an operator who closes it end the wave's soak.
function noteCompletion(wave: WaveTally, at: Time | null): void {
  if (at !== null && (wave.lastCompletion === null || at > wave.lastCompletion))
    wave.lastCompletion = at;
}
