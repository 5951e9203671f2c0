/**
 * One term of leadership: from taking the epoch to the first doubt. The state in memory belongs to the
 * term; it is reloaded, never patched, whenever something was reduced that is not committed.
 *
 * Failure behaviour: an input that makes the reducer throw, or whose rows the database cannot store, is set
 * aside as dead and the state reloaded. Anything else ends the term; what was in flight is undone by the
 * server, and the queue still holds its inputs.
 */
import { isDataError } from '../db/errors.ts';
import type { Listener } from '../db/listen.ts';
import { pause } from '../db/backoff.ts';
import type { Pool } from '../db/pool.ts';
import type { Session } from '../db/session.ts';
import { schemaProblem, schemaStanding } from '../db/standing.ts';
import { makePartitionsAhead } from '../eventlog/append.ts';
import { contentGetter, readContents } from '../eventlog/contents.ts';
import { claimInputs, type ClaimedInput } from '../queue/claim.ts';
import type { Input } from '../reducer/input.ts';
import { nextDueAt } from '../reducer/reduce.ts';
import type { Settings } from '../reducer/settings.ts';
import { touching, type TouchedRows } from '../reducer/state/touched.ts';
import { timeOf } from '../reducer/time.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { AmbiguousCommitError, commitWork, didCommit, type Progress } from './commit.ts';
import type { Candidate, TakenTerm, Term } from './election.ts';
import { load, type Loaded } from './load.ts';
import { LogAhead } from './log-ahead.ts';
import { observe } from './observe.ts';
import { Rotation } from './rotation.ts';
import { takeOver } from './take-over.ts';
import { inTurns, Turns } from './turns.ts';
import { WriterTransaction } from './writer-transaction.ts';
import { decide, decideInput, emptyWork, PoisonError, type Desk, type Work } from './work.ts';

export interface TermOptions {
  readonly candidate: Candidate;
  readonly settings: Settings;
  /** Inputs in one commit. */
  readonly batchRows: number;
  readonly listener: Listener;
  /** For claims and look-ups, beside the writer. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The safety net beneath notifications. */
const POLL_MS = 500;
/** A batch ends early when it was reduced for so long, or led to this many rows (some 20 MB). */
const BATCH_MS = 250;
const BATCH_LOG_ROWS = 20_000;
/** Input ids in a log line: enough to find them all, by the queue's order. */
const IDS_IN_LOG = 100;
/** No input of the queue: the term's own first one. */
const OWN_INPUT = 0;

/** The batch in hand was reduced onto one whose commit was refused: the state that it looked at never was. */
class VoidError extends Error {
  override readonly name = 'VoidError';
}

interface Claim {
  /** What its inputs are reduced on; when that is loaded anew meanwhile, they are dropped and claimed again. */
  readonly desk: Desk;
  /** Wakes counted when it was sent: a later one may be of an input that it did not see. */
  readonly seen: number;
  readonly inputs: Promise<readonly ClaimedInput[]>;
}

export class LeaderTerm {
  readonly term: Term;
  private readonly options: TermOptions;
  private readonly writer: Session;
  private readonly transaction: WriterTransaction;
  private readonly poison = new Map<number, string>();
  private readonly rotation: Rotation;
  private readonly logAhead: LogAhead;
  private desk: Desk;
  private commitNo = 0;
  private wakes = 0;
  /** Milliseconds for which reducing waited for the commit before: a slow disk is to make batches larger, not smaller. */
  private waited = 0;
  /** The last commit, over or under way. When the database refuses it, it ends with the state loaded anew. */
  private committing: Promise<void> = Promise.resolve();
  /** Batches to take one by one, to find the input that the database refuses. */
  private singly = 0;

  private constructor(options: TermOptions, writer: Session, term: Term, loaded: Loaded) {
    this.options = options;
    this.writer = writer;
    this.term = term;
    this.transaction = new WriterTransaction(writer, term.epoch);
    this.rotation = new Rotation(options);
    this.logAhead = new LogAhead(options);
    this.desk = this.deskFor(loaded);
  }

  /** Takes the epoch, loads the state and logs the takeover. The caller holds the lock. */
  static async begin(options: TermOptions, writer: Session): Promise<LeaderTerm> {
    await writer.run(assertKnownSchema);
    const since = timeOf(options.clock.now());
    // In this order on the one session, in one go: what is loaded is what the new epoch begins with.
    const [taken, loaded] = await Promise.all([
      takeOver(options, writer, since),
      load(writer, options.settings),
    ]);
    const { before, ...own } = taken;
    const inOther = before !== null && before !== own.incarnation;
    if (inOther) tellOfNewDatabase(options, taken);
    const term = new LeaderTerm(options, writer, own, loaded);
    // In this order on the one session, in one go.
    await Promise.all([
      writer.run((sql) => makePartitionsAhead(sql, loaded.state.headSeq)),
      term.announce(inOther),
    ]);
    return term;
  }

  /** Works until the signal (finishing the batch in hand) or rejects at the first doubt. */
  async work(signal: AbortSignal): Promise<void> {
    const forget = this.options.listener.on('in', () => {
      this.wakes += 1;
    });
    try {
      await this.workOn(signal);
    } finally {
      forget();
      // Whatever ended the work: the writer is not taken away from a commit that is under way.
      await this.committing.catch(() => undefined);
    }
  }

  /**
   * One batch is reduced while the one before commits, and the claim of the next travels meanwhile. Commits
   * follow one another; a batch whose predecessor is refused is dropped, for its inputs are still queued.
   */
  private async workOn(signal: AbortSignal): Promise<void> {
    let next = this.claim([]);
    while (!signal.aborted) {
      const { seen, desk } = next;
      const batch = await next.inputs;
      const work = batch.length === 0 ? null : await this.reduceBatch(desk, batch);
      await this.committing;
      const isVoid = desk !== this.desk;
      if (work === null || isVoid) {
        if (batch.length === 0 && !isVoid) await this.idle(seen, signal);
        next = this.claim([]);
        continue;
      }
      next = this.claim(work.ids);
      next.inputs.catch(() => undefined); // heard above
      // Before the next batch changes the state: rows as these inputs left them.
      const rows = await this.rowsOf(work);
      this.committing = this.commit(work, rows);
      this.committing.catch(() => undefined); // heard above
    }
    await Promise.all([this.committing, next.inputs]);
  }

  private claim(inFlight: readonly number[]): Claim {
    const limit = this.singly > 0 ? 1 : this.options.batchRows;
    const { desk, wakes: seen } = this;
    return {
      desk,
      seen,
      inputs: this.options.pool.run((sql) => claimInputs(sql, limit, inFlight)),
    };
  }

  private async idle(seen: number, signal: AbortSignal): Promise<void> {
    if (this.wakes !== seen) return;
    const woken = new AbortController();
    const forget = this.options.listener.on('in', () => {
      woken.abort();
    });
    await pause(POLL_MS, signal, woken.signal, this.writer.over);
    forget();
    if (!this.writer.open) throw new Error('the writer session is over');
  }

  /** Null: the batch held poison or became void, was dropped, and is to be claimed again. */
  private async reduceBatch(desk: Desk, batch: readonly ClaimedInput[]): Promise<Work | null> {
    const work = emptyWork();
    const began = performance.now() - this.waited;
    const turns = new Turns(desk.monotonic);
    try {
      for (const claimed of batch) {
        await decide(desk, work, claimed);
        const now = performance.now();
        if (now - this.waited - began > BATCH_MS || work.rows.length > BATCH_LOG_ROWS) break;
        await turns.giveWhenDue();
      }
      return work;
    } catch (error) {
      if (error instanceof VoidError) return null;
      if (!(error instanceof PoisonError)) throw error;
      // The transaction to undo is not that of the batch before; and a void state proves nothing of an input.
      await this.committing;
      if (desk === this.desk) await this.setAside(error.inputId, error.message);
      return null;
    }
  }

  private async setAside(inputId: number, error: string): Promise<void> {
    const { epoch } = this.term;
    this.options.logger.error(
      { epoch, inputId, error },
      'an input cannot be decided; it is set aside',
    );
    this.poison.set(inputId, error);
    await this.reload();
  }

  private rowsOf({ entries }: Work): Promise<TouchedRows> {
    const { state, monotonic } = this.desk;
    return inTurns(touching(state, entries), new Turns(monotonic));
  }

  /** When the database refuses the data, the state is reloaded and the inputs are claimed again. */
  private async commit(work: Work, rows: TouchedRows): Promise<void> {
    const started = performance.now();
    const progress = this.nextProgress();
    const { unconfirmed } = this.writer;
    try {
      const begun = this.transaction.begin();
      begun.catch(() => undefined); // heard in order, with what follows it
      this.transaction.settle();
      await commitWork(this.writer, begun, work, rows, progress);
      this.transaction.end();
    } catch (error) {
      if (error instanceof AmbiguousCommitError) await this.explain(progress, work);
      if (!isDataError(error)) throw error;
      await this.isolate(work, error);
      return;
    }
    this.commitNo = progress.commitNo;
    if (this.singly > 0) this.singly -= 1;
    this.tellDead(work);
    if (this.writer.unconfirmed !== unconfirmed) this.tellUnconfirmed(work);
    for (const id of work.ids) this.poison.delete(id);
    this.measure(work, performance.now() - started);
    this.rotation.after(work.ids);
    this.logAhead.look(this.desk.state.lastTs);
    await this.aheadOfPartitions(work);
  }

  /** Poison was told of when it was found; these could not be read in the first place. */
  private tellDead({ dead }: Work): void {
    const { epoch } = this.term;
    for (const { input, error } of dead.slice(0, IDS_IN_LOG)) {
      if (this.poison.has(input.id)) continue;
      this.options.logger.warn(
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
  private tellUnconfirmed(work: Work): void {
    this.options.metrics.count('muster_database_unconfirmed_commits_total', { by: 'leader' });
    this.options.logger.warn(
      this.about(work),
      'the synchronous standby did not confirm a commit; a failover now would lose it, and decide its inputs again',
    );
  }

  private nextProgress(): Progress {
    const { state, tickedAt } = this.desk;
    const due = nextDueAt(state, tickedAt);
    return {
      ...this.term,
      commitNo: this.commitNo + 1,
      headSeq: state.headSeq,
      nextDueAt: due === null ? null : timeOf(due),
    };
  }

  /** The rows of some input cannot be stored: one by one, the offender shows. */
  private async isolate(work: Work, error: unknown): Promise<void> {
    const [only] = work.ids;
    if (only === undefined) throw error;
    if (work.ids.length === 1) {
      await this.setAside(only, error instanceof Error ? error.message : String(error));
      return;
    }
    this.singly = work.ids.length;
    await this.reload();
  }

  private async reload(): Promise<void> {
    await this.transaction.undo();
    this.desk = this.deskFor(await load(this.writer, this.options.settings));
  }

  private deskFor(loaded: Loaded): Desk {
    const { pool, clock } = this.options;
    const desk: Desk = {
      state: loaded.state,
      headHash: loaded.headHash,
      tickedAt: 0,
      epoch: this.term.epoch,
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      poison: this.poison,
      contents: async (hashes) => contentGetter(await pool.run((sql) => readContents(sql, hashes))),
      observe: async (needs) => {
        // What is looked at is what the commit before left.
        const since = performance.now();
        await this.committing;
        this.waited += performance.now() - since;
        if (desk !== this.desk) throw new VoidError('the batch before was refused');
        await this.transaction.begin();
        return this.writer.run((sql) => observe(sql, needs));
      },
    };
    return desk;
  }

  private async announce(inOther: boolean): Promise<void> {
    const work = emptyWork();
    const { holder, version } = this.options.candidate;
    const about = inOther ? ({ otherDatabase: true } as const) : {};
    const input: Input = { kind: 'LeaderStarted', ...this.term, holder, version, ...about };
    await decideInput(this.desk, work, input, OWN_INPUT);
    await this.commit(work, await this.rowsOf(work));
  }

  private measure(work: Work, commitMs: number): void {
    const { metrics, logger } = this.options;
    logger.debug({ ...this.about(work), ms: Math.round(commitMs) }, 'committed');
    metrics.observe('muster_leader_commit_seconds', {}, commitMs / 1_000);
    metrics.observe('muster_leader_batch_rows', {}, work.ids.length);
    metrics.count('muster_leader_log_rows_total', {}, work.rows.length);
    for (const { kind, verdict, count } of work.outcomes.values()) {
      metrics.count('muster_leader_inputs_total', { kind, verdict }, count);
    }
  }

  /** What a log line says of a batch. */
  private about({ rows, ids }: Work): object {
    return {
      epoch: this.term.epoch,
      commitNo: this.commitNo,
      ...{ firstSeq: rows.at(0)?.seq ?? null, lastSeq: rows.at(-1)?.seq ?? null },
      ...{ inputs: ids.length, inputIds: ids.slice(0, IDS_IN_LOG) },
    };
  }

  /** Twice per partition: workers do this too, but a leader must not depend on them. */
  private async aheadOfPartitions(work: Work): Promise<void> {
    const first = work.rows.at(0)?.seq;
    const last = work.rows.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    if (Math.floor(first / 500_000) === Math.floor(last / 500_000)) return;
    await this.options.pool.run((sql) => makePartitionsAhead(sql, last));
  }

  /** Says what became of a commit that was not answered; the term is over either way. */
  private async explain(progress: Progress, work: Work): Promise<void> {
    const first = work.rows.at(0)?.seq ?? 0;
    const done = await this.options.pool
      .run((sql) => didCommit(sql, progress, first))
      .catch(() => null);
    const fate = done === null ? 'unknown' : done ? 'committed' : 'not committed';
    this.options.metrics.count('muster_leader_doubtful_commits_total', {
      fate: fate.replace(' ', '-'),
    });
    this.options.logger.warn(
      { ...this.about(work), commitNo: progress.commitNo, fate },
      'a commit was not answered; reloading',
    );
  }
}

/**
 * A promoted standby or a restored backup may lack the last commits; agents post again what no later event overtook. Told
 * as a time, too: processes that start on a restored backup count before anybody asks them, and a counter that begins at 1
 * has not increased.
 */
function tellOfNewDatabase({ logger, metrics, clock }: TermOptions, taken: TakenTerm): void {
  metrics.count('muster_leader_new_databases_total', {});
  metrics.set('muster_leader_new_database_time_seconds', {}, clock.now() / 1_000);
  logger.warn(
    { ...taken },
    'this is another database than before: a standby was promoted, or a backup restored. Commits that it never received are gone; see docs/operations/failover.md',
  );
}

/** A newer schema is no hindrance unless it says so (`src/db/standing.ts`). */
async function assertKnownSchema(sql: Parameters<typeof schemaStanding>[0]): Promise<void> {
  const problem = schemaProblem(await schemaStanding(sql));
  if (problem !== null) throw new Error(problem);
}
