/**
 * Waiting for verdicts: those of this replica above the last (epoch, commit) seen are read whenever a commit
 * is announced, and by a slow poll besides, and matched in memory. One query serves every waiter.
 *
 * A verdict may be read before its waiter is known here (the insert's own answer is still on its way): such
 * early ones are kept while inserts are in flight.
 */
import type { Sql } from '../db/driver.ts';
import { databaseProblem } from '../db/errors.ts';
import type { Listener } from '../db/listen.ts';
import type { Pool } from '../db/pool.ts';
import type { Verdict } from '../reducer/log.ts';
import type { Clock, Logger } from '../telemetry.ts';
import { decodeVerdict } from '../wire/verdict.ts';

export interface Judged {
  readonly status: 'judged';
  readonly verdict: Verdict;
  /** The log rows that the input led to. */
  readonly seqs: readonly number[];
}

export interface VerdictReader {
  /** The input's verdict, or null when `ms` passed without one. */
  wait(inputId: number, ms: number): Promise<Judged | null>;
  /** Between these two, verdicts without a waiter are kept. Rejects when the database is away. */
  beginInsert(): Promise<void>;
  endInsert(): void;
  readonly waiting: number;
  stop(): void;
}

export interface VerdictReaderOptions {
  readonly pool: Pool;
  readonly listener: Listener;
  readonly replica: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The safety net while someone waits: well within the default wait of 2 s. */
const POLL_MS = 250;
/** Verdicts read at once: 35k/s at full load, some 150 B each. */
const PAGE = 10_000;

interface Cursor {
  readonly epoch: number;
  readonly commitNo: number;
}

interface VerdictRow {
  readonly id: number;
  readonly epoch: number;
  readonly commitNo: number;
  readonly verdict: unknown;
  readonly seqs: number[];
}

function readVerdicts(sql: Sql, replica: string, after: Cursor): Promise<readonly VerdictRow[]> {
  return sql<VerdictRow[]>`
    SELECT input_id AS id, epoch, commit_no AS "commitNo", verdict, seqs FROM verdict
    WHERE (epoch, commit_no) > (${after.epoch}, ${after.commitNo}) AND replica = ${replica}
    ORDER BY epoch, commit_no FETCH FIRST ${PAGE} ROWS WITH TIES`;
}

/** Where reading starts: nothing older can be the answer to an input that is not stored yet. */
async function readProgress(sql: Sql): Promise<Cursor> {
  const [row] = await sql<Cursor[]>`SELECT epoch, commit_no AS "commitNo" FROM leader_progress`;
  return row ?? { epoch: 0, commitNo: 0 };
}

export function createVerdictReader(options: VerdictReaderOptions): VerdictReader {
  const { pool, listener, replica, clock, logger } = options;
  const waiters = new Map<number, (judged: Judged | null) => void>();
  const early = new Map<number, Judged>();
  let inserts = 0;
  let cursor: Cursor | null = null;
  let reading = false;
  let again = false;
  let cancelPoll: (() => void) | null = null;

  const deliver = (row: VerdictRow): void => {
    const verdict = decodeVerdict(row.verdict);
    const waiter = waiters.get(row.id);
    if (verdict === null) {
      waiter?.(null);
      return;
    }
    const judged: Judged = { status: 'judged', verdict, seqs: row.seqs };
    if (waiter !== undefined) waiter(judged);
    else if (inserts > 0) early.set(row.id, judged);
  };
  const readOnce = async (): Promise<void> => {
    cursor ??= await pool.run(readProgress);
    const after = cursor;
    const rows = await pool.run((sql) => readVerdicts(sql, replica, after));
    for (const row of rows) deliver(row);
    const last = rows.at(-1);
    if (last !== undefined) cursor = { epoch: last.epoch, commitNo: last.commitNo };
    if (rows.length >= PAGE) again = true;
  };
  const read = async (): Promise<void> => {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      do {
        again = false;
        await readOnce();
      } while (again);
    } catch (error) {
      logger.warn({ problem: databaseProblem(error) }, 'verdicts cannot be read; trying again');
    } finally {
      reading = false;
      schedule();
    }
  };
  const needed = (): boolean => waiters.size > 0 || inserts > 0;
  const schedule = (): void => {
    if (cancelPoll !== null || !needed()) return;
    cancelPoll = clock.after(POLL_MS, () => {
      cancelPoll = null;
      if (needed()) void read();
    });
  };
  const forget = listener.on('out', () => {
    if (needed()) void read();
  });

  return {
    get waiting() {
      return waiters.size;
    },
    async beginInsert() {
      // Where reading starts is fixed before anything of ours can be decided.
      cursor ??= await pool.run(readProgress);
      inserts += 1;
      schedule();
    },
    endInsert() {
      inserts -= 1;
      if (inserts === 0) early.clear();
    },
    wait(inputId, ms) {
      const known = early.get(inputId);
      if (known !== undefined) {
        early.delete(inputId);
        return Promise.resolve(known);
      }
      return new Promise((resolve) => {
        const finish = (judged: Judged | null): void => {
          cancel();
          waiters.delete(inputId);
          resolve(judged);
        };
        const cancel = clock.after(ms, () => {
          finish(null);
        });
        waiters.set(inputId, finish);
        schedule();
      });
    },
    stop() {
      forget();
      cancelPoll?.();
      for (const finish of [...waiters.values()]) finish(null);
    },
  };
}
