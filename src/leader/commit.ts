/**
 * One batch, one transaction: the fence, the log rows, the rows that follow from them, verdicts, progress,
 * and the removal of the inputs commit together or not at all.
 */
import type { Sql } from '../db/driver.ts';
import { isAway } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { bytesOf, givenTime, sendingMs } from '../db/slow-link.ts';
import { allStored } from '../db/swallowed.ts';
import { commit, inOrder } from '../db/transaction.ts';
import { insertRows, type NewRow } from '../eventlog/append.ts';
import { pieces } from '../eventlog/pieces.ts';
import { writeTouched, type Statement } from '../eventlog/write-tables.ts';
import { deleteInputs, insertDead, insertSingleVerdicts, insertVerdicts } from '../queue/claim.ts';
import type { TouchedRows } from '../reducer/state/touched.ts';
import type { Time } from '../reducer/time.ts';
import type { DeadInput, Work } from './work.ts';

export interface Progress {
  readonly epoch: number;
  readonly incarnation: string;
  readonly commitNo: number;
  readonly headSeq: number;
  readonly nextDueAt: Time | null;
}

/** COMMIT was sent and its answer did not come: it may have happened. */
export class AmbiguousCommitError extends Error {
  override readonly name = 'AmbiguousCommitError';
}

/** What a log row has beside its payload: names, a hash, numbers. */
const ROW_BYTES = 300;
const bytesOfRow = ({ payload }: NewRow): number => bytesOf(payload) + ROW_BYTES;
const bytesOfDead = ({ error }: DeadInput): number => bytesOf(error) + ROW_BYTES;

/**
 * Writing a whole rollout of 100,000 hosts takes seconds; a stuck disk must not hold us for ever. Beside what the way there
 * takes: 200 hosts with sixty failing probes each are 14 MB, a minute over the slowest link.
 */
export const WRITE_DEADLINE_MS = 30_000;
/** How long one stretch of serialising may block the event loop, and with it the lock's ping. */
const SLICE_MS = 25;

/**
 * Sends everything of a fenced transaction but its COMMIT, and hears that it was taken. Its beginning need not have been
 * answered: where the fence refuses it, the server refuses all that follows, as it does where nothing was begun
 * (`writer-transaction.ts`).
 */
export async function sendWork(
  writer: Pick<Session, 'run' | 'sentBytes'>,
  begun: Promise<void>,
  work: Work,
  rows: TouchedRows,
  progress: Progress,
): Promise<void> {
  const { epoch } = progress;
  const together = work.verdicts.filter((verdict) => verdict.together);
  const single = work.verdicts.filter((verdict) => !verdict.together);
  const sentBefore = writer.sentBytes;
  const deadline = (): number => WRITE_DEADLINE_MS + sendingMs(writer.sentBytes - sentBefore);
  await writer.run(async (sql) => {
    const deleted = { count: 0 };
    await sendAll([
      () => begun,
      ...pieces(work.rows, bytesOfRow).map(
        (piece) => () => givenTime(sql, sum(piece.map(bytesOfRow)), () => insertRows(sql, piece)),
      ),
      ...writeTouched(sql, rows),
      ...optional(together, () => insertVerdicts(sql, progress, together)),
      ...optional(single, () => insertSingleVerdicts(sql, progress, single)),
      ...pieces(work.dead, bytesOfDead).map((piece) => () => insertDead(sql, piece, epoch)),
      ...optional(work.ids, async () => {
        deleted.count = await deleteInputs(sql, work.ids);
      }),
      () => writeProgress(sql, progress),
    ]);
    if (deleted.count !== work.ids.length) {
      throw new Error(`${work.ids.length - deleted.count} claimed inputs are gone: not ours alone`);
    }
  }, deadline);
}

/**
 * COMMIT, which is sent before this returns. A server that refuses to commit says why. One that ends the session meanwhile (57P01), a socket that breaks
 * and an answer that is late say nothing about the commit.
 */
export async function finish(writer: Pick<Session, 'run'>): Promise<void> {
  try {
    await writer.run(commit, WRITE_DEADLINE_MS);
  } catch (error) {
    if (!isAway(error)) throw error;
    throw new AmbiguousCommitError('COMMIT was not answered', { cause: error });
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, n) => all + n, 0);
}

function optional(items: readonly unknown[], statement: Statement): Statement[] {
  return items.length === 0 ? [] : [statement];
}

/** Sends statements one after the other without waiting for answers, letting others run in between. */
async function sendAll(statements: readonly Statement[]): Promise<void> {
  const answers: Promise<unknown>[] = [];
  let since = performance.now();
  for (const statement of statements) {
    const answer = statement();
    // Heard below; a refusal that arrives while we are still sending is no unhandled one.
    answer.catch(() => undefined);
    answers.push(answer);
    if (performance.now() - since < SLICE_MS) continue;
    await new Promise(setImmediate);
    since = performance.now();
  }
  await inOrder(answers);
}

function writeProgress(sql: Sql, progress: Progress): Promise<void> {
  const { epoch, incarnation, commitNo, headSeq, nextDueAt } = progress;
  const written = sql`
    WITH woken AS (SELECT pg_notify(current_schema() || '_out', ''))
    INSERT INTO leader_progress (epoch, commit_no, head_seq, next_due_at, at, led_in)
    SELECT ${epoch}, ${commitNo}, ${headSeq}, ${nextDueAt}::timestamptz, clock_timestamp(), ${incarnation} FROM woken
    ON CONFLICT (singleton) DO UPDATE SET epoch = excluded.epoch, commit_no = excluded.commit_no,
      head_seq = excluded.head_seq, next_due_at = excluded.next_due_at, at = excluded.at,
      led_in = excluded.led_in`;
  return allStored('leader_progress', 1, written.execute());
}

/** After an ambiguous commit: is it there? Asked on another connection. */
export async function didCommit(sql: Sql, progress: Progress, firstSeq: number): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`
    SELECT EXISTS (SELECT FROM event_log WHERE seq = ${firstSeq} AND epoch = ${progress.epoch})
      OR EXISTS (SELECT FROM leader_progress
                 WHERE epoch = ${progress.epoch} AND commit_no >= ${progress.commitNo}) AS there`;
  return row?.there === true;
}
