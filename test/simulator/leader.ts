/**
 * The leader's way through its terms, step by step as `src/leader/term.ts` goes it, with the real deciding
 * code and the model's database. Between any two steps it may crash, freeze, or be deposed without knowing.
 */
import {
  decide,
  decideInput,
  emptyWork,
  PoisonError,
  type Desk,
  type Work,
} from '../../src/leader/work.ts';
import { decodeFleetContent, decodeManifestContent } from '../../src/wire/content.ts';
import { nextDueAt } from '../../src/reducer/reduce.ts';
import { restore, setContent, touched } from '../../src/reducer/state/rows-io.ts';
import type { FleetState } from '../../src/reducer/state/state.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { AwayError, FencedError, type LockSession, type Transaction } from './database.ts';
import type { Process } from './process.ts';
import { never } from './scheduler.ts';

/** Small, so that batches are split in many ways. */
const BATCH = 8;
/** The product asks ten times as often; notifications are what wakes it, and a run must be short. */
const POLL_MS = 5_000;
const RETRY_MS = 1_500;

/** The commit was sent and not answered: the term is over. */
class AmbiguousCommitError extends Error {}

export async function runLeader(process: Process): Promise<never> {
  for (;;) {
    const { db } = process.world;
    const lock = await process
      .query(() => db.tryLock('leader', process.name))
      .catch(() => {
        // Its session broke, and whatever it held is free again.
        db.breakLock('leader', process.name);
        return null;
      });
    if (lock === null) {
      await process.sleep(RETRY_MS * (0.5 + process.random()));
      continue;
    }
    const term = new Term(process, lock);
    await term.lead().catch((error: unknown) => {
      process.world.trace.say(process.name, `leads no longer: ${why(error)}`);
      if (!isExpected(error)) throw error;
    });
    term.end();
    await process.sleep(RETRY_MS * process.random());
  }
}

function why(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name} ${error.message}` : String(error);
}

function isExpected(error: unknown): boolean {
  if (error instanceof AwayError || error instanceof FencedError) return true;
  if (error instanceof AmbiguousCommitError) return true;
  return error instanceof Error && /claimed inputs are gone|duplicate key/.test(error.message);
}

class Term {
  private readonly process: Process;
  private readonly lock: LockSession;
  private readonly poison = new Map<number, string>();
  private tx: Transaction | null = null;
  private epoch = 0;
  private readonly timeline: number;
  private desk: Desk | null = null;
  private noticedLossAt = Number.POSITIVE_INFINITY;

  constructor(process: Process, lock: LockSession) {
    this.process = process;
    this.lock = lock;
    this.timeline = process.world.db.timeline;
  }

  private get db() {
    return this.process.world.db;
  }

  end(): void {
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
    for (;;) await this.turn();
  }

  private get at(): Desk {
    if (this.desk === null) throw new Error('nothing is loaded');
    return this.desk;
  }

  private async turn(): Promise<void> {
    const { process, db } = this;
    this.lookAtLock();
    const batch = await process.query(() => db.claim(BATCH));
    if (batch.length === 0) {
      await process.heardWithin('in', POLL_MS);
      return;
    }
    await this.between('claim');
    const work = emptyWork();
    try {
      for (const claimed of batch) {
        await decide(this.at, work, claimed);
        process.world.trace.say(process.name, `reduced ${described(work)}`);
      }
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      process.world.trace.say(process.name, `POISON ${error.message.slice(0, 300)}`);
      process.world.db.onPoison(error.message);
      this.poison.set(error.inputId, error.message);
      await this.reload();
      return;
    }
    await this.between('reduce');
    await this.commit(work);
  }

  private async commit(work: Work): Promise<void> {
    const { process, db } = this;
    const { state, tickedAt } = this.at;
    const due = nextDueAt(state, tickedAt);
    const tx = await this.open();
    await this.between('write');
    const { faults, trace } = process.world;
    const isAmbiguous = faults.strikes('commit-ambiguous');
    if (isAmbiguous && faults.chance('commit-ambiguous') < 0.5)
      throw new AmbiguousCommitError('not done');
    const batch = {
      epoch: this.epoch,
      ...{ rows: work.rows, verdicts: work.verdicts, ids: work.ids },
      touched: touched(state, work.entries),
      dead: work.dead.map(({ input }) => input),
      nextDueAt: due === null ? null : timeOf(due),
    };
    await process.query(() => db.commit(tx, batch));
    this.tx = null;
    trace.say(
      process.name,
      `committed up to ${String(state.headSeq)}, ${String(work.ids.length)} inputs`,
    );
    if (isAmbiguous) throw new AmbiguousCommitError('done');
    await this.between('commit');
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

function loadState({ world: { db } }: Process): { state: FleetState; headHash: Uint8Array } {
  const { tables } = db.data;
  const state = restore(tables.rows(db.headSeq, db.lastTs));
  const { fleetHash } = tables.fleet;
  if (fleetHash !== null) {
    const hashes = [...tables.channels.values()].flatMap((channel) => channel.manifestHash ?? []);
    const content = db.contents([fleetHash, ...hashes]);
    setContent(
      state,
      decodeFleetContent(fleetHash, content(fleetHash)),
      hashes.map((hash) => decodeManifestContent(hash, content(hash))),
    );
  }
  return { state, headHash: db.headHash };
}
