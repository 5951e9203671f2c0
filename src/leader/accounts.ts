/** What is logged and counted of a term's commits: how long, how many, and what somebody should know. */
import type { TakenTerm } from './election.ts';
import { didCommit, type Progress } from './commit.ts';
import type { TermOptions } from './term.ts';
import type { Work } from './work.ts';

type Books = Pick<TermOptions, 'logger' | 'metrics'>;

/** Input ids in a log line: enough to find them all, by the queue's order. */
const IDS_IN_LOG = 100;

/** What a log line says of a batch. */
function about({ rows, ids }: Work, { epoch, commitNo }: Progress): object {
  return {
    ...{ epoch, commitNo },
    ...{ firstSeq: rows.at(0)?.seq ?? null, lastSeq: rows.at(-1)?.seq ?? null },
    ...{ inputs: ids.length, inputIds: ids.slice(0, IDS_IN_LOG) },
  };
}

export function tellCommitted(
  { metrics, logger }: Books,
  work: Work,
  progress: Progress,
  ms: number,
): void {
  logger.debug({ ...about(work, progress), ms: Math.round(ms) }, 'committed');
  metrics.observe('muster_leader_commit_seconds', {}, ms / 1_000);
  metrics.observe('muster_leader_batch_rows', {}, work.ids.length);
  metrics.count('muster_leader_log_rows_total', {}, work.rows.length);
  for (const { kind, verdict, count } of work.outcomes.values()) {
    metrics.count('muster_leader_inputs_total', { kind, verdict }, count);
  }
}

/** Poison was told of when it was found; these could not be read in the first place. */
export function tellDead(
  { logger }: Books,
  { dead }: Work,
  { epoch }: Progress,
  poison: ReadonlyMap<number, string>,
): void {
  for (const { input, error } of dead.slice(0, IDS_IN_LOG)) {
    if (poison.has(input.id)) continue;
    logger.warn(
      { epoch, inputId: input.id, kind: input.kind, error },
      'an input cannot be read; it is kept in dead_input',
    );
  }
}

/**
 * The standby does not have this commit, and everybody here sees it. The term goes on, for whatever was answered with a
 * 2xx has it already: an input's own commit was confirmed before (`queue/submitter.ts`), so a promoted standby holds it
 * in its queue and decides it again; an offer or a command's verdict is told after a later commit that was confirmed,
 * and WAL is in order. Stepping down would recall nothing, and the next term would wait for the same standby.
 */
export function tellUnconfirmed({ metrics, logger }: Books, work: Work, progress: Progress): void {
  metrics.count('muster_database_unconfirmed_commits_total', { by: 'leader' });
  logger.warn(
    about(work, progress),
    'the synchronous standby did not confirm a commit; a failover now would lose it, and decide its inputs again',
  );
}

/** What became of a commit that was not answered; the term is over either way. */
export async function tellFate(
  { pool, metrics, logger }: Books & Pick<TermOptions, 'pool'>,
  work: Work,
  progress: Progress,
): Promise<void> {
  const first = work.rows.at(0)?.seq ?? 0;
  const done = await pool.run((sql) => didCommit(sql, progress, first)).catch(() => null);
  const fate = done === null ? 'unknown' : done ? 'committed' : 'not committed';
  metrics.count('muster_leader_doubtful_commits_total', { fate: fate.replace(' ', '-') });
  logger.warn({ ...about(work, progress), fate }, 'a commit was not answered; reloading');
}

/**
 * A promoted standby or a restored backup may lack the last commits; agents post again what no later event overtook. Told
 * as a time, too: processes that start on a restored backup count before anybody asks them, and a counter that begins at 1
 * has not increased.
 */
export function tellOfNewDatabase(
  { logger, metrics, clock }: Books & Pick<TermOptions, 'clock'>,
  taken: TakenTerm,
): void {
  metrics.count('muster_leader_new_databases_total', {});
  metrics.set('muster_leader_new_database_time_seconds', {}, clock.now() / 1_000);
  logger.warn(
    { ...taken },
    'this is another database than before: a standby was promoted, or a backup restored. Commits that it never received are gone; see docs/operations/failover.md',
  );
}
