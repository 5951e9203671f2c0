/**
 * Waiting for verdicts: those of this replica above the last (epoch, commit) seen are read whenever a commit
 * is announced, and by a slow poll besides, and matched in memory. One query serves every waiter.
 *
 * A verdict may be read before its waiter is known here (the insert's own answer is still on its way): such
 * early ones are kept until every insert that was under way when they came has ended. Those that nobody took by then are
 * late ones, whose callers were told `queued`.
 *
 * A standby that is promoted, or a backup that is restored, may lack the newest commits, the taking of the last epoch
 * among them; then (epoch, commit) begin again below what was seen. So each read also says where the leader is, and in
 * which database.
 */
import { backoffMs, type Random } from '../db/backoff.ts';
import type { Sql } from '../db/driver.ts';
import { databaseProblem } from '../db/errors.ts';
import type { Listener } from '../db/listen.ts';
import type { Pool } from '../db/pool.ts';
import { timeline } from '../db/timeline.ts';
import type { Verdict } from '../reducer/log.ts';
import type { Clock, Logger } from '../telemetry.ts';
import { decodeVerdict } from '../wire/verdict.ts';

export interface Judged {
  readonly status: 'judged';
  readonly verdict: Verdict;
  /** The log rows that the input led to. */
  readonly seqs: readonly number[];
}

/** `gone`: another database took the place of the one in which the input was stored, or may have: none answers. */
export type Waited = Judged | 'gone' | null;

export interface VerdictReader {
  /** The input's verdict; `gone`: perhaps the input has gone, too; null when `ms` passed without one. */
  wait(inputId: number, ms: number): Promise<Waited>;
  /** Until the returned function is called, verdicts without a waiter are kept. Rejects when the database is away. */
  beginInsert(): Promise<() => void>;
  readonly waiting: number;
  /** Verdicts without a waiter that are kept. */
  readonly early: number;
  stop(): void;
}

export interface VerdictReaderOptions {
  readonly pool: Pool;
  readonly listener: Listener;
  readonly replica: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
}

/** The safety net while someone waits: well within the default wait of 2 s. */
const POLL_MS = 250;
/** How long who gives up waits for a look at the database; reads take milliseconds. */
const LAST_LOOK_MS = 1_000;
/** After a failure, notifications or not: an outage costs a replica one read a second, its end 1 s at most. */
const AGAIN = { firstMs: 100, maxMs: 1_000 } as const;
/** Who gives up is told so late at the most, and 100,000 who wait are looked through no more often. */
const APART_MS = 10;
/**
 * Early verdicts, some 0.6 kB each: as many as the largest batch that may be set. Beyond it the oldest go, which are the
 * likeliest to be late ones; a caller whose verdict goes with them is told `queued`.
 */
export const MOST_EARLY = 20_000;
/** Commits read at once, of up to a few hundred verdicts each, some 50 B long. */
const PAGE = 32;

interface Cursor {
  readonly epoch: number;
  readonly commitNo: number;
}

interface Place extends Cursor {
  /** Of the server: another one before anybody leads there. */
  readonly timeline: number;
  /** Of the database; null: nobody has led in it. */
  readonly incarnation: string | null;
}

interface VerdictsRow extends Cursor {
  readonly verdicts: readonly (readonly [number, unknown, readonly number[]])[];
}

interface News {
  readonly place: Place;
  readonly rows: readonly VerdictsRow[];
}

/** Each row says where the leader is; there is one without verdicts when there are none. */
type NewsRow = Pick<Place, 'timeline' | 'incarnation'> & {
  readonly headEpoch: number;
  readonly headCommitNo: number;
} & (VerdictsRow | { readonly verdicts: null });

/** One row, wherever nobody has led yet, too. */
const placeOf = (sql: Sql) => sql`
  SELECT incarnation, coalesce(p.epoch, 0), coalesce(p.commit_no, 0)
  FROM (VALUES (true)) AS always LEFT JOIN (leader_progress p CROSS JOIN epoch e) ON true`;

/**
 * Verdicts, and the leader's place in the same snapshot. Those of a leader that is older than we are lie one by one
 * in `verdict`.
 */
async function readNews(sql: Sql, replica: string, after: Cursor): Promise<News> {
  const rows = await sql<NewsRow[]>`
    SELECT ${timeline(sql)} AS timeline, place.*, news.epoch, news.commit_no AS "commitNo", verdicts
    FROM (${placeOf(sql)}) AS place (incarnation, "headEpoch", "headCommitNo") LEFT JOIN (
      SELECT epoch, commit_no, verdicts FROM commit_verdicts
      WHERE (epoch, commit_no) > (${after.epoch}, ${after.commitNo}) AND replica = ${replica}
      UNION ALL
      SELECT epoch, commit_no, json_build_array(json_build_array(input_id, verdict, seqs))
      FROM verdict
      WHERE (epoch, commit_no) > (${after.epoch}, ${after.commitNo}) AND replica = ${replica}
      ORDER BY epoch, commit_no FETCH FIRST ${PAGE} ROWS WITH TIES
    ) AS news ON true
    ORDER BY news.epoch, news.commit_no`;
  const [first] = rows;
  if (first === undefined) throw new Error('the database did not say where its leader is');
  const { headEpoch: epoch, headCommitNo: commitNo } = first;
  return {
    place: { timeline: first.timeline, incarnation: first.incarnation, epoch, commitNo },
    rows: rows.flatMap((row) => (row.verdicts === null ? [] : [row])),
  };
}

/** Where reading starts: nothing older can be the answer to an input that is not stored yet. */
async function readPlace(sql: Sql): Promise<Place> {
  const [row] = await sql<Place[]>`
    SELECT ${timeline(sql)} AS timeline, place.*
    FROM (${placeOf(sql)}) AS place (incarnation, epoch, "commitNo")`;
  if (row === undefined) throw new Error('the database did not say where its leader is');
  return row;
}

/** A leader never goes back within one database. */
function isAnother(now: Place, before: Place): boolean {
  if (now.timeline !== before.timeline) return true;
  if (now.incarnation !== before.incarnation && before.incarnation !== null) return true;
  if (now.epoch !== before.epoch) return now.epoch < before.epoch;
  return now.commitNo < before.commitNo;
}

interface Waiter {
  readonly resolve: (waited: Waited) => void;
  /** Monotonic, ms. */
  readonly until: number;
}

interface Early {
  readonly judged: Judged;
  /** The newest insert that was under way: it may be of this one, or of one before it. */
  readonly insert: number;
}

export function createVerdictReader(options: VerdictReaderOptions): VerdictReader {
  return new Reader(options);
}

class Reader implements VerdictReader {
  private readonly options: VerdictReaderOptions;
  private readonly waiters = new Map<number, Waiter>();
  /** When the first of them gives up, of those who were here when the timer was set; Infinity: none is set. */
  private dueAt = Infinity;
  private cancelDue: (() => void) | null = null;
  /** In the order of their coming. */
  private readonly kept = new Map<number, Early>();
  private readonly forget: () => void;
  /** Inserts under way, by their numbers, ascending. */
  private readonly inserts = new Set<number>();
  private lastInsert = 0;
  private cursor: Place | null = null;
  /** Inputs whose waits are over but for a last look at the database. */
  private overdue: readonly number[] = [];
  private reading = false;
  private again = false;
  /** Reads that failed since the last that did not. */
  private failures = 0;
  private cancelPoll: (() => void) | null = null;

  constructor(options: VerdictReaderOptions) {
    this.options = options;
    this.forget = options.listener.on('out', () => {
      if (this.needed() && this.failures === 0) void this.read();
    });
  }

  get waiting(): number {
    return this.waiters.size;
  }

  get early(): number {
    return this.kept.size;
  }

  async beginInsert(): Promise<() => void> {
    // Where reading starts is fixed before anything of ours can be decided.
    this.cursor ??= await this.options.pool.run(readPlace);
    this.lastInsert += 1;
    const insert = this.lastInsert;
    this.inserts.add(insert);
    this.schedule();
    return () => {
      this.inserts.delete(insert);
      this.dropLate();
    };
  }

  /** Under load the next insert begins before one has ended: what came before it began is of none that is under way. */
  private dropLate(): void {
    const [oldest = Infinity] = this.inserts;
    for (const [id, { insert }] of this.kept) {
      if (insert >= oldest) return;
      this.kept.delete(id);
    }
  }

  private keep(id: number, judged: Judged): void {
    if (this.inserts.size === 0) return;
    this.kept.set(id, { judged, insert: this.lastInsert });
    if (this.kept.size <= MOST_EARLY) return;
    const [oldest] = this.kept.keys();
    if (oldest !== undefined) this.kept.delete(oldest);
  }

  wait(inputId: number, ms: number): Promise<Waited> {
    const known = this.kept.get(inputId);
    if (known !== undefined) {
      this.kept.delete(inputId);
      return Promise.resolve(known.judged);
    }
    return new Promise((resolve) => {
      const until = this.options.clock.monotonic() + ms;
      this.waiters.set(inputId, { resolve, until });
      this.giveUpAt(until);
      this.schedule();
    });
  }

  private settle(id: number, { resolve }: Waiter, waited: Waited): void {
    this.waiters.delete(id);
    resolve(waited);
  }

  /** One timer for all: nearly every waiter is told in time, and would have set up its own for nothing. */
  private giveUpAt(until: number): void {
    if (until >= this.dueAt) return;
    const { clock } = this.options;
    this.cancelDue?.();
    this.dueAt = until;
    this.cancelDue = clock.after(Math.max(APART_MS, until - clock.monotonic()), () => {
      this.giveUpDue();
    });
  }

  /**
   * That an input is safe is told after a last look at the database that took it: while none answers, and behind that, a
   * standby may have taken its place that lacks what was stored last.
   */
  private giveUpDue(): void {
    const now = this.options.clock.monotonic();
    const overdue: number[] = [];
    let next = Infinity;
    for (const [id, waiter] of this.waiters) {
      const isOver = waiter.until <= now;
      const lastLook = waiter.until + LAST_LOOK_MS;
      if (isOver && (this.failures > 0 || lastLook <= now)) this.settle(id, waiter, 'gone');
      else {
        if (isOver) overdue.push(id);
        next = Math.min(next, isOver ? lastLook : waiter.until);
      }
    }
    this.overdue = overdue;
    this.dueAt = Infinity;
    this.giveUpAt(next);
    if (overdue.length > 0) void this.read();
  }

  private endOverdue(overdue: readonly number[]): void {
    for (const id of overdue) {
      const waiter = this.waiters.get(id);
      if (waiter !== undefined) this.settle(id, waiter, null);
    }
  }

  stop(): void {
    this.forget();
    this.cancelPoll?.();
    this.cancelDue?.();
    this.endWaits(null);
  }

  private needed(): boolean {
    return this.waiters.size > 0 || this.inserts.size > 0;
  }

  private schedule(): void {
    if (!this.needed()) this.failures = 0; // who comes later is not kept waiting for an old trouble
    if (this.cancelPoll !== null || !this.needed()) return;
    const { clock, random } = this.options;
    const ms = this.failures === 0 ? POLL_MS : backoffMs(AGAIN, this.failures - 1, random);
    this.cancelPoll = clock.after(ms, () => {
      this.cancelPoll = null;
      if (this.needed()) void this.read();
    });
  }

  /** Never rejects; whoever asks meanwhile makes it read once more. */
  private async read(): Promise<void> {
    this.again = true;
    if (this.reading) return;
    this.reading = true;
    try {
      while (await this.readOnce());
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      const problem = databaseProblem(error);
      this.options.logger.warn({ problem }, 'verdicts cannot be read; trying again');
      this.giveUpDue();
    } finally {
      this.reading = false;
      this.schedule();
    }
  }

  /** True when there is reason to read again at once. */
  private async readOnce(): Promise<boolean> {
    const { pool, replica } = this.options;
    this.again = false;
    const { overdue } = this;
    const after = (this.cursor ??= await pool.run(readPlace));
    const { place, rows } = await pool.run((sql) => readNews(sql, replica, after));
    if (isAnother(place, after)) {
      this.startAgain(after, place);
      return true;
    }
    for (const { verdicts } of rows) {
      for (const [id, verdict, seqs] of verdicts) this.deliver(id, verdict, seqs);
    }
    const { epoch, commitNo } = rows.at(-1) ?? after;
    this.cursor = { ...place, epoch, commitNo };
    if (rows.length >= PAGE) return true;
    this.endOverdue(overdue);
    return this.again;
  }

  /**
   * Who waits now may have been stored in the database that has gone, and its id be given to another input in this one:
   * nobody is told a verdict that may not be his, nor that what he sent is safe.
   */
  private startAgain(before: Place, now: Place): void {
    this.options.logger.warn(
      { before, now, waiting: this.waiters.size },
      'this is another database than before, or an earlier state of it; verdicts are read from the beginning of its term',
    );
    this.kept.clear();
    this.endWaits('gone');
    this.cursor = { ...now, commitNo: 0 };
  }

  private endWaits(told: 'gone' | null): void {
    for (const [id, waiter] of this.waiters) this.settle(id, waiter, told);
  }

  private deliver(id: number, stored: unknown, seqs: readonly number[]): void {
    const verdict = decodeVerdict(stored);
    const waiter = this.waiters.get(id);
    if (verdict === null) {
      if (waiter !== undefined) this.settle(id, waiter, null);
      return;
    }
    const judged: Judged = { status: 'judged', verdict, seqs };
    if (waiter !== undefined) this.settle(id, waiter, judged);
    else this.keep(id, judged);
  }
}
