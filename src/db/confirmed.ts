/**
 * Commits that PostgreSQL answered with success although the synchronous standby does not have them: its wait was
 * cancelled, by a person or a timeout, and a warning says so. A failover then loses what was committed.
 */
import type { Metrics } from '../telemetry.ts';
import type { Notice } from './driver.ts';
import { NotConfirmedError } from './errors.ts';
import type { Pool } from './pool.ts';

/** Whose commit it was. */
type Committer = 'inputs' | 'commands' | 'offers' | 'leader';

/** PostgreSQL answers success with this warning when `synchronous_commit`'s wait is cancelled. */
export function isCancelledSync(notice: Notice): boolean {
  const message = notice['message'];
  return notice['routine'] === 'SyncRepWaitForLSN' || /synchronous replication/.test(message ?? '');
}

/**
 * Runs what commits, and rejects when the standby was not waited for. Which of a pool's connections the warning came
 * on is not told: a statement beside it may be refused, too, and is repeated like any other that failed.
 */
export async function confirmed<T>(
  pool: Pool,
  statements: Parameters<typeof pool.run<T>>[0],
): Promise<T> {
  const before = pool.unconfirmed;
  const result = await pool.run(statements);
  if (pool.unconfirmed !== before) throw new NotConfirmedError();
  return result;
}

/** Counts it, when it is that; whoever is told the error says the rest. */
export function noteUnconfirmed(metrics: Metrics, by: Committer, error: unknown): void {
  if (!(error instanceof NotConfirmedError)) return;
  metrics.count('muster_database_unconfirmed_commits_total', { by });
}
