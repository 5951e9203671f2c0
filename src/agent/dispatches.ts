/**
 * Waits for work by long poll and takes it on, if the signed manifests say the same as the dispatch. A
 * refused dispatch is not answered: the control plane offers it again, and shows `dispatch-refused` when
 * that goes on. An offer may come again at any time: only one whose DispatchAck was never made is taken on.
 */
import { timeOf } from '../reducer/time.ts';
import { retryDelay, type Clock, type Random } from './clock.ts';
import type { ControlPlane, Dispatch, Snapshot } from './control-plane.ts';
import type { AgentLog } from './hooks.ts';
import type { Journal } from './journal.ts';
import type { Manifests, Warranted } from './manifests.ts';

export interface DispatchParts {
  readonly hostname: string;
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly manifests: Manifests;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
  /** Its DispatchAck was made or is on its way. */
  hasTaken(rolloutId: string): boolean;
  accept(snapshot: Snapshot, warrant: Warranted): Promise<void>;
}

/** Runs until `signal` aborts. */
export async function runDispatches(parts: DispatchParts, signal: AbortSignal): Promise<void> {
  let attempt = 0;
  while (!signal.aborted) {
    const answer = await parts.controlPlane.dispatch(signal);
    if (answer.kind === 'trouble') {
      const wait = Math.max(retryDelay(attempt, parts.random), answer.retryAfterMs ?? 0);
      attempt += 1;
      await parts.clock.sleep(wait, signal);
      continue;
    }
    attempt = 0;
    if (answer.kind === 'dispatch') await consider(parts, answer.dispatch, signal);
  }
}

async function consider(
  parts: DispatchParts,
  dispatch: Dispatch,
  signal: AbortSignal,
): Promise<void> {
  const { rolloutId, targetClosure } = dispatch;
  if (parts.hasTaken(rolloutId)) {
    // If it is offered all the same, our events may not have arrived. Copies are free.
    parts.journal.replay(0, rolloutId);
    return;
  }
  const found = await parts.manifests.warrant(rolloutId, parts.hostname, signal);
  if (signal.aborted) return;
  if (!found.ok) {
    parts.log.warn({ rolloutId, reason: found.reason, detail: found.detail }, 'dispatch refused');
    return;
  }
  if (found.warrant.targetClosure !== targetClosure) {
    parts.log.warn(
      {
        rolloutId,
        reason: 'wrong-target',
        dispatched: targetClosure,
        signed: found.warrant.targetClosure,
      },
      'dispatch refused: the signed manifest names another closure',
    );
    return;
  }
  await parts.accept(pendingSnapshot(parts, dispatch, found.warrant), found.warrant);
}

function pendingSnapshot(parts: DispatchParts, dispatch: Dispatch, warrant: Warranted): Snapshot {
  return {
    rolloutId: dispatch.rolloutId,
    hostname: parts.hostname,
    channel: warrant.channel,
    state: 'Pending',
    targetClosure: dispatch.targetClosure,
    dispatchedAt: timeOf(parts.clock.now()),
    soakDueAt: dispatch.soakDueAt,
    // A record that was opened and not gone on with may know of seqs that were refused.
    lastEventSeq: parts.journal.record(dispatch.rolloutId)?.lastEventSeq ?? 0,
  };
}
