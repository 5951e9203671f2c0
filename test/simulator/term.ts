/**
 * The leader's way through a term, step by step as `src/leader/term.ts` goes it, with the real deciding
 * code and the model's database: a batch is reduced while the one before commits. Between any two steps of
 * either it may crash, freeze, or be deposed without knowing, and the commit may be refused.
 * (The product sends a batch behind the COMMIT of the one before; to the database both come in the same order.)
 */
import {
  decide,
  decideInput,
  emptyWork,
  PoisonError,
  type Desk,
  type Work,
} from '../../src/leader/work.ts';
import { nextDueAt } from '../../src/reducer/reduce.ts';
import { touched } from '../../src/reducer/state/touched.ts';
import { timeOf } from '../../src/reducer/time.ts';
import type { ClaimedInput } from '../../src/queue/claim.ts';
import { AwayError, DataRefusedError, type Batch, type LockSession } from './database.ts';
import type { Transaction } from './transaction.ts';
import { loadState } from './load.ts';
import type { Process } from './process.ts';
import { never } from './scheduler.ts';

/** Small, so that batches are split in many ways. */
const BATCH = 8;
/** The product asks ten times as often; notifications are what wakes it, and a run must be short. */
const POLL_MS = 5_000;

/** The commit was sent and not answered: the term is over. */
export class AmbiguousCommitError extends Error {}

/** The batch in hand was reduced onto one whose commit was refused. */
class VoidError extends Error {}

interface Claim {
  /** Wakes counted when it was sent. */
  readonly seen: number;
  readonly inputs: Promise<readonly ClaimedInput[]>;
}

export class Term {
  private readonly process: Process;
  private readonly lock: LockSession;
  private readonly poison = new Map<number, string>();
  private tx: Transaction | null = null;
  private epoch = 0;
  private readonly timeline: number;
  private desk: Desk | null = null;
  private noticedLossAt = Number.POSITIVE_INFINITY;
  private wakes = 0;
  private readonly forgetWakes: () => void;
  /** The last commit, over or under way; false: refused, and what was reduced meanwhile is void. */
  private committing: Promise<boolean> = Promise.resolve(true);
  private isCommitting = false;
  /** Batches to take one by one, after one of several was refused. */
  private singly = 0;

  constructor(process: Process, lock: LockSession) {
    this.process = process;
    this.lock = lock;
    this.timeline = process.world.db.timeline;
    this.forgetWakes = process.on('in', () => {
      this.wakes += 1;
    });
  }

  private get db() {
    return this.process.world.db;
  }

  end(): void {
    this.forgetWakes();
    if (this.tx !== null) this.db.abort(this.tx);
    this.lock.held = false;
  }

  async lead(): Promise<void> {
    const { process, db } = this;
    const taken = await process.query(() => db.takeEpoch(process.name));
    this.epoch = taken.epoch;
    await this.load();
    process.world.trace.say(
      process.name,
      `leads epoch ${String(taken.epoch)} ${taken.incarnation}`,
    );
    const work = emptyWork();
    const about = { ...taken, holder: process.name, version: 'sim' };
    await decideInput(this.at, work, { kind: 'LeaderStarted', ...about }, 0);
    await this.commit(work);
    try {
      await this.work();
    } finally {
      // Whatever ended the work: the writer is not taken away from a commit that is under way.
      await this.committing.catch(() => undefined);
    }
  }

  private get at(): Desk {
    if (this.desk === null) throw new Error('nothing is loaded');
    return this.desk;
  }

  private async work(): Promise<never> {
    let next = this.claim([]);
    for (;;) {
      this.lookAtLock();
      const batch = await next.inputs;
      const work = batch.length === 0 ? null : await this.reduceBatch(batch);
      const isSound = await this.committing;
      this.committing = Promise.resolve(true);
      if (work === null || !isSound) {
        if (batch.length === 0 && isSound) await this.idle(next.seen);
        next = this.claim([]);
        continue;
      }
      next = this.claim(work.ids);
      this.committing = this.commit(work);
      this.committing.catch(() => undefined); // heard above
    }
  }

  private claim(inFlight: readonly number[]): Claim {
    const { process, db } = this;
    const inputs = process.query(() => db.claim(this.singly > 0 ? 1 : BATCH, inFlight));
    inputs.catch(() => undefined); // heard where it is awaited
    return { seen: this.wakes, inputs };
  }

  private async idle(seen: number): Promise<void> {
    if (this.wakes === seen) await this.process.heardWithin('in', POLL_MS);
  }

  /** Null: the batch held poison or became void, and is to be claimed again. */
  private async reduceBatch(batch: readonly ClaimedInput[]): Promise<Work | null> {
    const { process, at: desk } = this;
    await this.between('claim');
    const work = emptyWork();
    try {
      for (const claimed of batch) {
        if (this.isLost(claimed)) {
          work.ids.push(claimed.id);
          continue;
        }
        await decide(desk, work, claimed);
        process.world.trace.say(process.name, `reduced ${described(work)}`);
      }
    } catch (error) {
      if (error instanceof VoidError) return null;
      if (!(error instanceof PoisonError)) throw error;
      if (await this.committing) await this.setAside(error);
      return null;
    }
    await this.between(this.isCommitting ? 'reduce, with the commit before under way' : 'reduce');
    return work;
  }

  private isLost({ id, kind }: ClaimedInput): boolean {
    return this.db.breaks.has('command-lost') && kind === 'OperatorCommand' && id % 2 === 0;
  }

  private async setAside({ inputId, message }: PoisonError): Promise<void> {
    const { world, name } = this.process;
    world.trace.say(name, `POISON ${message.slice(0, 300)}`);
    world.db.onPoison(message);
    this.poison.set(inputId, message);
    await this.reload();
  }

  /** False: the database refused it, and the state was reloaded. */
  private async commit(work: Work): Promise<boolean> {
    // At once, before the next batch changes the state.
    const batch = this.batchOf(work);
    this.isCommitting = true;
    try {
      return await this.write(work, batch);
    } finally {
      this.isCommitting = false;
    }
  }

  private batchOf(work: Work): Batch {
    const { state, tickedAt } = this.at;
    const due = nextDueAt(state, tickedAt);
    return {
      epoch: this.epoch,
      ...{ rows: work.rows, verdicts: work.verdicts, ids: work.ids },
      touched: touched(state, work.entries),
      dead: work.dead.map(({ input }) => input),
      nextDueAt: due === null ? null : timeOf(due),
    };
  }

  private async write(work: Work, batch: Batch): Promise<boolean> {
    const { process, db } = this;
    const tx = await this.open();
    await this.between('write');
    const { faults, trace } = process.world;
    // One by one they are all stored: what a single input holds that cannot be is an input to be set aside.
    if (work.ids.length > 1 && faults.strikes('commit-refused')) return this.refused(tx, work);
    const isAmbiguous = faults.strikes('commit-ambiguous');
    if (isAmbiguous && faults.chance('commit-ambiguous') < 0.5)
      throw new AmbiguousCommitError('not done');
    await process.query(() => db.commit(tx, batch));
    this.tx = null;
    const head = work.rows.at(-1)?.seq ?? db.headSeq;
    trace.say(process.name, `committed up to ${String(head)}, ${String(work.ids.length)} inputs`);
    if (isAmbiguous) throw new AmbiguousCommitError('done');
    if (this.singly > 0) this.singly -= 1;
    await this.between('commit');
    return true;
  }

  private async refused(tx: Transaction, work: Work): Promise<boolean> {
    const { process, db } = this;
    await process
      .query(() => db.refuse(tx))
      .catch((error: unknown) => {
        if (!(error instanceof DataRefusedError)) throw error;
      });
    const count = String(work.ids.length);
    process.world.trace.say(process.name, `is refused a commit of ${count} inputs`);
    if (db.breaks.has('commit-void')) {
      this.tx = null;
      return true;
    }
    this.singly = work.ids.length;
    await this.reload();
    return false;
  }

  private async open(): Promise<Transaction> {
    return (this.tx ??= await this.process.query(() => this.db.begin(this.epoch, this.timeline)));
  }

  private async load(): Promise<void> {
    const { process, db } = this;
    const loaded = await process.query(() => loadState(process));
    this.desk = {
      ...{ ...loaded, tickedAt: 0 },
      epoch: this.epoch,
      poison: this.poison,
      now: () => process.clock.now(),
      monotonic: () => process.clock.monotonic(),
      contents: (hashes) => process.query(() => db.contents(hashes)),
      observe: async (needs) => {
        // What is looked at is what the commit before left.
        if (!(await this.committing)) throw new VoidError('the batch before was refused');
        const tx = await this.open();
        return process.query(() => db.observe(tx, needs));
      },
    };
  }

  private async reload(): Promise<void> {
    if (this.tx !== null) this.db.abort(this.tx);
    this.tx = null;
    await this.load();
  }

  /** The lock's session is pinged; its loss is noticed after a while, unless another server holds it. */
  private lookAtLock(): void {
    const { now } = this.process.world.scheduler;
    if (this.lock.held) return;
    this.noticedLossAt = Math.min(this.noticedLossAt, now + 3_000);
    if (now >= this.noticedLossAt) throw new AwayError('the lock is lost');
  }

  private async between(step: string): Promise<void> {
    const { process, db } = this;
    const { faults, trace } = process.world;
    if (faults.strikes('leader-crash')) {
      trace.say(process.name, `dies after ${step}`);
      process.crash();
      await never();
    }
    if (faults.strikes('leader-deposed')) {
      trace.say(process.name, `is deposed after ${step}`);
      db.breakLock('leader', process.name);
      // Long enough for another to begin its term while this one goes on.
      await process.sleep(100 + 1_500 * faults.chance('leader-deposed'));
    }
    if (faults.strikes('leader-frozen')) {
      process.freeze(2_000 + 10_000 * faults.chance('leader-frozen'));
      await process.sleep(1);
    }
  }
}

function described({ outcomes, rows }: Work): string {
  const last = [...outcomes.values()].at(-1);
  const row = rows.at(-1);
  const about = row === undefined ? '' : `${row.hostname ?? ''} ${row.rolloutId ?? ''}`;
  return `${last?.kind ?? ''} ${last?.verdict ?? ''} ${about} head ${String(row?.seq ?? 0)}`;
}
