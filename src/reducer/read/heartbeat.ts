/**
 * What a heartbeat deserves as an answer, decided from committed rows alone, so that any replica can decide
 * it: whether it may change something (and must become an input), from which seq the agent should post
 * again, and which snapshots to hand to an agent that seems to have lost its own state. Existing agents
 * overwrite what they hold with every snapshot, so each doubt here decides against giving one.
 */
import { hasEnded, type RolloutState } from '../rollout/states.ts';
import type { RecordRow } from '../state/rows.ts';

/** The fields of a record that these decisions read. */
export type HeardRecord = Pick<
  RecordRow,
  | 'rolloutId'
  | 'hostname'
  | 'channel'
  | 'state'
  | 'targetClosure'
  | 'currentClosureAtDispatch'
  | 'currentClosure'
  | 'dispatchedAt'
  | 'dispatchAckedAt'
  | 'activationStartedAt'
  | 'activationCompletedAt'
  | 'soakDueAt'
  | 'lastEventSeq'
  | 'highestRefusedSeq'
  | 'closed'
  | 'lastAcceptedAt'
  | 'synthesised'
  | 'synthesisedAt'
  | 'contradictedBy'
> & {
  readonly rolloutState: RolloutState;
  /** It is the newest rollout ever opened on its channel. */
  readonly newest: boolean;
};

/** What is committed about the host that speaks. */
export interface HeardHost {
  readonly reachability: 'never' | 'reachable' | 'unreachable';
  readonly reportedClosure: string | null;
  /** Any order. Closed and pruned ones change nothing and may be left out. */
  readonly records: readonly HeardRecord[];
}

/** What the host says. */
export interface Report {
  readonly rolloutId: string | null;
  readonly currentClosure: string | null;
  readonly lastEventSeqByRollout: Readonly<Record<string, number>>;
}

function isLive(record: HeardRecord): boolean {
  return record.closed === null && record.rolloutState !== 'Pruned';
}

function mayMoveRecord(record: HeardRecord, closure: string): boolean {
  if (!isLive(record)) return false;
  const onTarget = closure === record.targetClosure;
  switch (record.state) {
    case 'Pending':
      return onTarget && (!hasEnded(record.rolloutState) || record.dispatchedAt !== null);
    case 'Activating':
    case 'Deferred':
      return onTarget;
    case 'Soaking':
      return record.contradictedBy !== (onTarget ? null : closure);
    case 'Converged':
    case 'Failed':
    case 'Reverted':
      return false;
  }
}

/** True when the leader must see this heartbeat: all others are answered and forgotten. */
export function mayChange(host: HeardHost, report: Report): boolean {
  if (host.reachability !== 'reachable') return true;
  const closure = report.currentClosure;
  if (closure === null) return false;
  if (closure !== host.reportedClosure) return true;
  return host.records.some((record) => mayMoveRecord(record, closure));
}

/** The highest seq that the agent need not be asked for again. */
export function knownSeq({
  lastEventSeq,
  highestRefusedSeq,
}: Pick<RecordRow, 'lastEventSeq' | 'highestRefusedSeq'>): number {
  return Math.max(lastEventSeq, highestRefusedSeq);
}

/** A refusal above a gap: what lies between was never judged. The word for it is kept, to say it once. */
function gapWord(record: HeardRecord): string | null {
  const gap = record.highestRefusedSeq > record.lastEventSeq + 1;
  return gap ? `${record.rolloutId}:${String(record.highestRefusedSeq)}` : null;
}

function drifts(record: HeardRecord, report: Report): boolean {
  if ((report.lastEventSeqByRollout[record.rolloutId] ?? 0) > knownSeq(record)) return true;
  if (report.rolloutId !== record.rolloutId) return false;
  if (record.currentClosure === null || report.currentClosure === null) return false;
  return record.currentClosure !== report.currentClosure;
}

export interface Replay {
  /** The agent posts again whatever is above it; null when nothing drifts. */
  readonly from: number | null;
  /** Gaps said so far, to be kept for the host's next heartbeat. */
  readonly said: readonly string[];
}

/** The lowest applied seq over the rollouts in which agent and mirror differ. */
export function replayFrom(host: HeardHost, report: Report, said: readonly string[]): Replay {
  const words: string[] = [];
  let from: number | null = null;
  for (const record of host.records.filter(isLive)) {
    const word = gapWord(record);
    if (word !== null) words.push(word);
    const unsaid = word !== null && !said.includes(word);
    if (!unsaid && !drifts(record, report)) continue;
    from = from === null ? record.lastEventSeq : Math.min(from, record.lastEventSeq);
  }
  return { from, said: words };
}

/** What a replica knows beside the rows; each of the first three forbids snapshots. */
export interface SnapshotDoubts {
  /** An input of the host is queued or on its way. */
  readonly queued: boolean;
  /** An event of the host was answered with other than 2xx in the last five minutes. */
  readonly missedLately: boolean;
  /** Requests were shed in the last five minutes. */
  readonly shedLately: boolean;
  /** The previous heartbeat came under ten seconds ago, or the host was unreachable. */
  readonly restarted: boolean;
}

function synthesisedLast(record: HeardRecord, host: HeardHost): boolean {
  const { synthesised, synthesisedAt } = record;
  if (synthesised === null || synthesisedAt === null) return false;
  return host.records.every(
    ({ lastAcceptedAt }) => lastAcceptedAt === null || lastAcceptedAt < synthesisedAt,
  );
}

/** A re-offer serves Pending, and the other states are over. */
function isUnderWay(record: HeardRecord): boolean {
  const { state } = record;
  return state === 'Activating' || state === 'Deferred' || state === 'Soaking';
}

/** The records to hand back as snapshots. */
export function bootstrap(
  host: HeardHost,
  report: Report,
  doubts: SnapshotDoubts,
): readonly HeardRecord[] {
  if (report.rolloutId !== null) return [];
  if (doubts.queued || doubts.missedLately || doubts.shedLately) return [];
  return host.records.filter(
    (record) =>
      isLive(record) &&
      !hasEnded(record.rolloutState) &&
      record.newest &&
      isUnderWay(record) &&
      (doubts.restarted || synthesisedLast(record, host)),
  );
}

/** The seq from which an agent that takes the snapshot goes on counting: above all it ever used here. */
export function snapshotSeq(record: HeardRecord): number {
  return knownSeq(record);
}
