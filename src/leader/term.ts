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
import type { Input, ObservationNeeds, Observed } from '../reducer/input.ts';
import { nextDueAt } from '../reducer/reduce.ts';
import type { Settings } from '../reducer/settings.ts';
import { touching, type TouchedRows } from '../reducer/state/touched.ts';
import { timeOf } from '../reducer/time.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import {
  tellCommitted,
  tellDead,
  tellFate,
  tellOfNewDatabase,
  tellUnconfirmed,
} from './accounts.ts';
import { AmbiguousCommitError, finish, sendWork, type Progress } from './commit.ts';
import { Commits, type Place } from './commits.ts';
import type { Candidate, Term } from './election.ts';
import { load, type Loaded } from './load.ts';
import { LogAhead } from './log-ahead.ts';
import { whileHeard, type Patience } from './lost-answers.ts';
import { observe } from './observe.ts';
import { Rotation } from './rotation.ts';
import { takeOver } from './take-over.ts';
import { inTurns, Turns } from './turns.ts';
import { WriterTransaction } from './writer-transaction.ts';
import { BATCH_BYTES } from './weight.ts';
import { decide, decideInput, emptyWork, PoisonError, type Desk, type Work } from './work.ts';

export interface TermOptions {
  readonly candidate: Candidate;
  readonly settings: Settings;
  /** Inputs in one commit. */
  readonly batchRows: number;
  readonly listener: Listener;
  /** For claims and look-ups, beside the writer. */
  readonly pool: Pool;
  /** With the writer's answers; of the process, from term to term. */
  readonly patience: Patience;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The safety net beneath notifications. */
const POLL_MS = 500;
/** A batch ends early when it was reduced for so long, or gives its commit much to write (`weight.ts`). */
const BATCH_MS = 250;
/**
 * A batch of fewer is waited for before the next is claimed: what comes meanwhile goes together. At 1,000 events/s, where
 * commits have two or three of them, half of the events are decided in 7 ms then, not 8.
 */
const FEW_ROWS = 20;
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
  private readonly commits = new Commits();
  private desk: Desk;
  /** The database refused what `desk` led to: nothing more is sent until another is loaded. */
  private isReloading = false;
  /** What is being sent: its end, good or bad. */
  private sending: Promise<unknown> = Promise.resolve();
  /** Of the last commit that was sent; numbers of refused ones are skipped. */
  private commitNo = 0;
  private wakes = 0;
  /** Milliseconds for which reducing waited for the commit before: a slow disk is to make batches larger, not smaller. */
  private waited = 0;
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
      term.transaction.guard(),
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
      await this.commits.over.catch(() => undefined);
    }
  }

  /**
   * One batch is reduced while the server works on the one before, and the claim of the next travels meanwhile. When one
   * is refused, what was reduced onto it is dropped, for its inputs are still queued.
   */
  private async workOn(signal: AbortSignal): Promise<void> {
    const { commits } = this;
    let next = this.claim([]);
    while (!signal.aborted) {
      const { seen, desk } = next;
      const batch = await next.inputs;
      const work = batch.length === 0 ? null : await this.reduceBatch(desk, batch);
      await (work === null ? commits.over : commits.accepted);
      if (work === null || this.isVoid(desk)) {
        await commits.over;
        if (batch.length === 0 && !this.isVoid(desk)) await this.idle(seen, signal);
        next = this.claim([]);
        continue;
      }
      const isFew = work.ids.length < Math.min(FEW_ROWS, this.options.batchRows);
      // Those of the one before are there until its COMMIT is through.
      if (!isFew) next = this.claim([...commits.ids, ...work.ids]);
      next.inputs.catch(() => undefined); // heard above
      // Before the next batch changes the state: rows as these inputs left them.
      const rows = await this.rowsOf(work);
      // Refused meanwhile: the claim is void, too.
      if (!this.isVoid(desk)) this.send(work, rows);
      if (isFew) {
        await commits.over;
        next = this.claim([]);
      }
    }
    await Promise.all([commits.over, next.inputs]);
  }

  private isVoid(desk: Desk): boolean {
    return this.isReloading || desk !== this.desk;
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
        if (now - this.waited - began > BATCH_MS || work.weight.bytes > BATCH_BYTES) break;
        await turns.giveWhenDue();
      }
      return work;
    } catch (error) {
      if (error instanceof VoidError) return null;
      if (!(error instanceof PoisonError)) throw error;
      // The transaction to undo is not that of the batch before; and a void state proves nothing of an input.
      await this.commits.over;
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

  private send(work: Work, rows: TouchedRows): void {
    this.commits.begin(work.ids, (place) => this.commit(work, rows, place));
  }

  private heard<T>(work: Promise<T>): Promise<T> {
    const { writer, options } = this;
    return whileHeard(work, { ...options, writer });
  }

  /** When the database refuses the data, the state is reloaded and the inputs are claimed again. */
  private async commit(work: Work, rows: TouchedRows, { before, accept }: Place): Promise<void> {
    let since = performance.now();
    // It is sent behind that, and takes no longer for it.
    before.then(
      () => (since = performance.now()),
      () => undefined,
    );
    const { desk, writer, transaction } = this;
    const progress = this.nextProgress();
    this.commitNo = progress.commitNo;
    let unconfirmed = 0;
    try {
      const begun = transaction.begin();
      begun.catch(() => undefined); // heard in order, with what follows it
      transaction.settle();
      const sent = this.heard(sendWork(writer, begun, work, rows, progress));
      this.sending = sent.catch(() => undefined);
      await sent;
      await before;
      if (this.isVoid(desk)) return;
      ({ unconfirmed } = writer);
      const committed = this.heard(finish(writer));
      transaction.end();
      accept();
      await committed;
    } catch (error) {
      await before;
      if (this.isVoid(desk)) return;
      if (error instanceof AmbiguousCommitError) await tellFate(this.options, work, progress);
      if (!isDataError(error)) throw error;
      await this.isolate(work, error);
      return;
    }
    if (this.singly > 0) this.singly -= 1;
    tellDead(this.options, work, progress, this.poison);
    if (writer.unconfirmed !== unconfirmed) tellUnconfirmed(this.options, work, progress);
    for (const id of work.ids) this.poison.delete(id);
    tellCommitted(this.options, work, progress, performance.now() - since);
    this.rotation.after(work.ids);
    this.logAhead.look(this.desk.state.lastTs);
    await this.aheadOfPartitions(work);
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
    this.isReloading = true;
    // Undone with it, and not to go on behind that.
    await this.sending;
    await this.transaction.undo();
    this.desk = this.deskFor(await load(this.writer, this.options.settings));
    this.isReloading = false;
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
        await this.commits.over;
        this.waited += performance.now() - since;
        if (this.isVoid(desk)) throw new VoidError('the batch before was refused');
        return this.heard(this.look(needs));
      },
    };
    return desk;
  }

  private async look(needs: ObservationNeeds): Promise<Observed> {
    await this.transaction.begin();
    return this.writer.run((sql) => observe(sql, needs));
  }

  private async announce(inOther: boolean): Promise<void> {
    const work = emptyWork();
    const { holder, version } = this.options.candidate;
    const about = inOther ? ({ otherDatabase: true } as const) : {};
    const input: Input = { kind: 'LeaderStarted', ...this.term, holder, version, ...about };
    await decideInput(this.desk, work, input, OWN_INPUT);
    this.send(work, await this.rowsOf(work));
    await this.commits.over;
  }

  /** Twice per partition: workers do this too, but a leader must not depend on them. */
  private async aheadOfPartitions(work: Work): Promise<void> {
    const first = work.rows.at(0)?.seq;
    const last = work.rows.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    if (Math.floor(first / 500_000) === Math.floor(last / 500_000)) return;
    await this.options.pool.run((sql) => makePartitionsAhead(sql, last));
  }
}

/** A newer schema is no hindrance unless it says so (`src/db/standing.ts`). */
async function assertKnownSchema(sql: Parameters<typeof schemaStanding>[0]): Promise<void> {
  const problem = schemaProblem(await schemaStanding(sql));
  if (problem !== null) throw new Error(problem);
}
