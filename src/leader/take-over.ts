/**
 * Taking the epoch from a leader that is frozen. Its lock is gone after five seconds without a ping; its transaction may
 * still hold the epoch row, and the server ends that by itself only where it counts as idle. We hold the lock: whoever
 * stands in the way leads no more.
 */
import { pause } from '../db/backoff.ts';
import { databaseProblem } from '../db/errors.ts';
import { endSilent } from '../db/in-the-way.ts';
import type { Pool } from '../db/pool.ts';
import type { Session } from '../db/session.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { takeEpoch, type Candidate, type TakenTerm } from './election.ts';

const UNSEEN =
  'nobody can lead while this session of a process of ours holds the epoch, and this login may not see what it does: GRANT pg_read_all_stats, pg_signal_backend to it (docs/database-roles.md); leave the session alone where its wait_event is SyncRep';

export interface TakeOverParts {
  readonly candidate: Candidate;
  /** Beside the writer, which waits. */
  readonly pool: Pool;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A transaction that is not frozen is over by then; with the lock's five seconds it stays below ten. */
const LOOK_EVERY_MS = 1_000;
/** Only a transaction that works, or somebody else's, is waited for so long. */
const TAKE_DEADLINE_MS = 20_000;

const COMMIT =
  'nobody can lead until this commit ends: leave it; a standby is away, or a disk hangs (docs/operations/failover.md)';
const TRANSACTION =
  'nobody can lead while this transaction holds the epoch; it is not ended from here: end it with pg_terminate_backend, a prepared one with ROLLBACK PREPARED';

/** `takeEpoch` on the writer; ends what stands in its way. */
export function takeOver(parts: TakeOverParts, writer: Session, since: string): Promise<TakenTerm> {
  const over = new AbortController();
  void clearTheWay(parts, writer.pid, over.signal);
  return writer
    .run((sql) => takeEpoch(sql, parts.candidate, since), TAKE_DEADLINE_MS)
    .finally(() => {
      over.abort();
    });
}

function adviceOn(commits: boolean | null): string {
  if (commits === null) return UNSEEN;
  return commits ? COMMIT : TRANSACTION;
}

async function clearTheWay(
  { pool, logger, metrics }: TakeOverParts,
  pid: number,
  over: AbortSignal,
): Promise<void> {
  const told = new Set<number>();
  for (;;) {
    await pause(LOOK_EVERY_MS, over);
    if (over.aborted) return;
    try {
      for (const { ended, commits, ...session } of await pool.run((sql) => endSilent(sql, pid))) {
        if (ended) {
          metrics.count('muster_leader_evictions_total', {});
          logger.warn(session, 'ended the transaction of a former leader that is frozen');
        } else if (!told.has(session.pid)) logger.warn(session, adviceOn(commits));
        told.add(session.pid);
      }
    } catch (error) {
      logger.warn({ problem: databaseProblem(error) }, 'cannot see what holds the epoch');
    }
  }
}
