/**
 * PostgreSQL as the product uses it, in memory: committed tables, a queue whose ids become visible late, one
 * writer behind a fence, row locks on dispatches, session locks, notifications that may be lost, and backups.
 * What a statement means is modelled after the SQL of the same name in `src`; deciding is left to the core.
 */
import type { AcceptedArtifact, StoredArtifact, ToldOutcome } from '../../src/db/artifacts.ts';
import { GENESIS } from '../../src/eventlog/chain.ts';
import { contentGetter } from '../../src/eventlog/contents.ts';
import type { NewRow } from '../../src/eventlog/append.ts';
import type { ClaimedInput, NewVerdict } from '../../src/queue/claim.ts';
import type { EncodedInput } from '../../src/queue/enqueue.ts';
import type { LeadershipInput, ObservationNeeds, Observed } from '../../src/reducer/input.ts';
import type { TouchedRows } from '../../src/reducer/state/touched.ts';
import { millisOf, timeOf, type Millis, type Time } from '../../src/reducer/time.ts';
import { isJsonObject } from '../../src/wire/text.ts';
import type { BreakName } from './breaks.ts';
import type { Faults } from './faults.ts';
import type { Scheduler } from './scheduler.ts';
import { hasEnded, type RolloutState } from '../../src/reducer/rollout/states.ts';
import { keyOf, Tables } from './tables.ts';
import { Transaction } from './transaction.ts';

export interface Offer {
  readonly rolloutId: string;
  readonly hostname: string;
  /** When the dispatch that it is of was queued. */
  readonly of: Time;
  readonly first: Time;
  readonly last: Time;
}

export interface Presence {
  heardAt: Time;
  missedAt: Time | null;
  said: string;
}

/** A row of the queue. Somebody waits for every verdict here, so that what was never decided shows. */
export interface QueuedInput extends ClaimedInput {
  readonly hostname: string | null;
  readonly rolloutId: string | null;
}

/** What one commit of the leader holds. */
export interface Batch {
  readonly epoch: number;
  readonly rows: readonly NewRow[];
  readonly touched: TouchedRows;
  readonly verdicts: readonly NewVerdict[];
  readonly dead: readonly ClaimedInput[];
  readonly ids: readonly number[];
  readonly nextDueAt: Time | null;
}

export type LockName = 'leader' | 'workers';
export interface LockSession {
  readonly holder: string;
  held: boolean;
}

export interface Listener {
  hear(channel: 'in' | 'out'): void;
}

/** A connection that broke, or a server that is away: what `fromDatabase` calls passing. */
export class AwayError extends Error {
  readonly code = 'CONNECTION_CLOSED';
}
export class FencedError extends Error {}
/** The database cannot store what a commit holds: what `isDataError` calls one. */
export class DataRefusedError extends Error {}

/** As `WRITER_SETTINGS`: a frozen owner's transaction ends. */
const IDLE_IN_TRANSACTION_MS = 5_000;

/** Everything that a backup holds. */
class Durable {
  tables = new Tables();
  log: NewRow[] = [];
  queue = new Map<number, QueuedInput>();
  verdicts = new Map<number, NewVerdict>();
  dead: ClaimedInput[] = [];
  offers = new Map<string, Offer>();
  artifacts = new Map<string, StoredArtifact & { readonly version: number; current: boolean }>();
  epoch = { epoch: 0, holder: '', incarnation: 0, timeline: 0 };
  /** Incarnation of the last commit; null before the first. */
  ledIn: number | null = null;
  nextDueAt: Time | null = null;
  nextId = 1;

  copy(): Durable {
    const made = new Durable();
    Object.assign(made, this);
    made.tables = this.tables.copy();
    made.log = [...this.log];
    made.queue = new Map(this.queue);
    made.verdicts = new Map(this.verdicts);
    made.dead = [...this.dead];
    made.offers = new Map(this.offers);
    made.artifacts = new Map([...this.artifacts].map(([key, row]) => [key, { ...row }]));
    made.epoch = { ...this.epoch };
    return made;
  }
}

export type Backup = Durable;

/** What `LeaderStarted` says of it. */
type TakenEpoch = Pick<LeadershipInput, 'epoch' | 'incarnation' | 'otherDatabase'>;

export class Database {
  data = new Durable();
  presence = new Map<string, Presence>();
  /** Nobody reaches it until then. */
  awayUntil: Millis = 0;
  readonly listeners = new Set<Listener>();
  readonly scheduler: Scheduler;
  readonly breaks: ReadonlySet<BreakName>;
  /** Told of every input that is in the queue for good. */
  onInsert: (id: number) => void = () => undefined;
  /** Told of every commit that takes effect, after it did, of what it took from the queue, and of the offers it ended. */
  onCommit: (batch: Batch, taken: readonly QueuedInput[], offered: readonly string[]) => void =
    () => undefined;
  /** Told when the reducer threw: it never may. */
  onPoison: (error: string) => void = () => undefined;
  private readonly faults: Faults;
  private readonly locks = new Map<LockName, LockSession>();
  private active: Transaction | null = null;
  /** Which server this is: sessions end when another takes its place. */
  timeline = 1;

  constructor(scheduler: Scheduler, faults: Faults, breaks: ReadonlySet<BreakName>) {
    this.scheduler = scheduler;
    this.faults = faults;
    this.breaks = breaks;
  }

  get now(): Time {
    return timeOf(this.scheduler.now);
  }

  get headSeq(): number {
    return this.data.log.length;
  }

  // ── the queue ──

  async insert(input: EncodedInput, replica: string): Promise<number> {
    const { data } = this;
    const id = data.nextId;
    data.nextId += 1;
    // An id is given when a statement begins; its row shows when it commits.
    if (this.faults.strikes('insert-late'))
      await this.scheduler.sleep(5 + 500 * this.faults.chance('insert-late'));
    if (data !== this.data) throw new AwayError('the database went away in the middle');
    this.data.queue.set(id, { id, ...input, replica, together: false });
    this.onInsert(id);
    this.notify('in');
    return id;
  }

  claim(limit: number, inFlight: readonly number[] = []): readonly ClaimedInput[] {
    return [...this.data.queue.values()]
      .filter(({ id }) => !inFlight.includes(id))
      .sort((a, b) => a.id - b.id)
      .slice(0, limit);
  }

  isQueued(hostname: string): boolean {
    for (const row of this.data.queue.values()) if (row.hostname === hostname) return true;
    return false;
  }

  // ── leading ──

  tryLock(name: LockName, holder: string): LockSession | null {
    if (this.locks.get(name)?.held === true) return null;
    const session: LockSession = { holder, held: true };
    this.locks.set(name, session);
    return session;
  }

  /** Ends the session that holds the lock; its owner may not know yet. */
  breakLock(name: LockName, holder?: string): void {
    const session = this.locks.get(name);
    if (session !== undefined && (holder === undefined || session.holder === holder))
      session.held = false;
  }

  async takeEpoch(holder: string): Promise<TakenEpoch> {
    while (this.active?.isOpen === true && !this.breaks.has('skip-fence'))
      await this.scheduler.sleep(50);
    const { epoch } = this.data;
    const isOther = epoch.timeline !== this.timeline;
    const incarnation = isOther ? this.timeline : epoch.incarnation;
    this.data.epoch = { epoch: epoch.epoch + 1, holder, incarnation, timeline: this.timeline };
    const { ledIn } = this.data;
    return {
      ...{ epoch: this.data.epoch.epoch, incarnation: `i${String(incarnation)}` },
      ...(ledIn === null || ledIn === incarnation ? {} : ({ otherDatabase: true } as const)),
    };
  }

  /** Opens the writer's transaction behind the fence. */
  begin(epoch: number, timeline: number): Transaction {
    if (timeline !== this.timeline) throw new AwayError('the session is over');
    if (epoch !== this.data.epoch.epoch && !this.breaks.has('skip-fence')) throw new FencedError();
    const tx = new Transaction(epoch, this.scheduler.now);
    this.active = tx;
    this.watch(tx);
    return tx;
  }

  private watch(tx: Transaction): void {
    this.scheduler.after(IDLE_IN_TRANSACTION_MS, () => {
      if (!tx.isOpen) return;
      if (this.scheduler.now - tx.touchedAt >= IDLE_IN_TRANSACTION_MS) this.abort(tx);
      else this.watch(tx);
    });
  }

  abort(tx: Transaction): void {
    tx.isOpen = false;
  }

  private use(tx: Transaction): void {
    if (!tx.isOpen) throw new AwayError('the transaction is over');
    tx.touchedAt = this.scheduler.now;
  }

  observe(tx: Transaction, needs: ObservationNeeds): Observed {
    this.use(tx);
    const isAsked = (row: { readonly rolloutId: string; readonly hostname: string }) =>
      needs.rollouts.includes(row.rolloutId) || needs.hosts.includes(row.hostname);
    for (const [key, row] of this.data.tables.dispatches) if (isAsked(row)) tx.locks.add(key);
    const offers = [...this.data.offers.values()].filter(
      (offer) => isAsked(offer) && this.data.tables.dispatches.has(keyOf(offer)),
    );
    return {
      offers: offers.sort(byKey).map(({ rolloutId, hostname, first, last }) => ({
        ...{ rolloutId, hostname, firstOfferedAt: first, lastOfferedAt: last },
      })),
      heard: [...needs.hosts].sort().flatMap((hostname) => {
        const heard = this.presence.get(hostname);
        return heard === undefined ? [] : [{ hostname, at: heard.heardAt }];
      }),
    };
  }

  /** What a statement of a commit says of a row that cannot be stored: nothing of the transaction takes effect. */
  refuse(tx: Transaction): never {
    this.use(tx);
    tx.isOpen = false;
    throw new DataRefusedError('a row cannot be stored');
  }

  commit(tx: Transaction, batch: Batch): void {
    this.use(tx);
    tx.isOpen = false;
    const { data } = this;
    const first = batch.rows[0]?.seq;
    if (first !== undefined && first <= this.headSeq)
      throw new Error('duplicate key: event_log.seq');
    if (!batch.ids.every((id) => data.queue.has(id))) throw new Error('claimed inputs are gone');
    data.log.push(...batch.rows);
    const isTorn = this.breaks.has('tables-apart') && batch.rows.length % 7 === 6;
    if (!isTorn) data.tables.write(batch.touched);
    const gone = batch.touched.removed.dispatches.map(keyOf);
    const offered = gone.filter((key) => data.offers.delete(key));
    for (const [key, offer] of data.offers) {
      if (batch.touched.removed.pruned.includes(offer.rolloutId)) data.offers.delete(key);
    }
    for (const verdict of batch.verdicts) data.verdicts.set(verdict.inputId, verdict);
    data.dead.push(...batch.dead);
    data.nextDueAt = batch.nextDueAt;
    data.ledIn = data.epoch.incarnation;
    const taken = batch.ids.flatMap((id) => data.queue.get(id) ?? []);
    this.remove(batch.ids);
    this.onCommit(batch, taken, offered);
    this.notify('out');
  }

  private remove(ids: readonly number[]): void {
    const remove = () => {
      for (const id of ids) this.data.queue.delete(id);
    };
    if (this.breaks.has('delete-later')) this.scheduler.after(10, remove);
    else remove();
  }

  // ── dispatches ──

  isLocked(key: string): boolean {
    return this.active?.isOpen === true && this.active.locks.has(key);
  }

  // ── artifacts ──

  contents(hashes: readonly string[]): (hash: string) => unknown {
    const wanted = new Set(hashes);
    const found = [...this.data.artifacts.values()].filter(({ hash }) => wanted.has(hash));
    return contentGetter(new Map(found.map(({ hash, content }) => [hash, JSON.parse(content)])));
  }

  accepted(): AcceptedArtifact[] {
    return [...this.data.artifacts.values()]
      .filter(({ current }) => current)
      .map(({ kind, name, hash, signedAt, content }) => ({
        ...{ kind, name, hash, signedAt },
        opened: this.data.tables.rollouts.has(name),
        running: isRunning(this.data.tables.rollouts.get(name)?.state),
        contentHash: kind === 'manifest' ? contentHashOf(content) : null,
      }));
  }

  toldOutcomes(): ToldOutcome[] {
    const logged = this.data.log.filter(({ kind }) => kind === 'verify_outcome');
    const waiting = this.claim(this.data.queue.size).filter(({ kind }) => kind === 'VerifyOutcome');
    return [...logged, ...waiting]
      .map(({ payload }) => JSON.parse(payload) as ToldOutcome)
      .toReversed();
  }

  /** False: one that is current is newer. */
  store(artifacts: readonly StoredArtifact[]): boolean {
    const isOlder = ({ name, signedAt }: StoredArtifact) =>
      (this.served(name)?.signedAt ?? signedAt) > signedAt;
    if (artifacts.some(isOlder)) return false;
    for (const artifact of artifacts) {
      for (const [key, row] of this.data.artifacts) {
        if (row.name === artifact.name && row.current)
          this.data.artifacts.set(key, { ...row, current: false });
      }
      const key = `${artifact.name} ${artifact.hash}`;
      this.data.artifacts.set(key, { ...artifact, version: this.scheduler.now, current: true });
    }
    return true;
  }

  served(name: string): StoredArtifact | undefined {
    return [...this.data.artifacts.values()].find((row) => row.name === name && row.current);
  }

  // ── everything else ──

  get headHash(): Uint8Array {
    return this.data.log.at(-1)?.hash ?? GENESIS;
  }

  get lastTs(): Millis {
    const last = this.data.log.at(-1);
    return last === undefined ? 0 : millisOf(last.ts);
  }

  notify(channel: 'in' | 'out'): void {
    for (const listener of this.listeners) {
      if (this.faults.strikes('notify-lost')) continue;
      this.scheduler.after(1, () => {
        listener.hear(channel);
      });
    }
  }

  backup(): Backup {
    return this.data.copy();
  }

  /** Another cluster takes its place: sessions end, unlogged tables are empty, the timeline is a new one. */
  restore(backup: Backup): void {
    this.data = backup.copy();
    this.timeline += 1;
    this.presence = new Map();
    if (this.active !== null) this.abort(this.active);
    for (const session of this.locks.values()) session.held = false;
  }
}

function isRunning(state: RolloutState | undefined): boolean {
  return state !== undefined && !hasEnded(state);
}

function byKey(a: Offer, b: Offer): number {
  return keyOf(a) < keyOf(b) ? -1 : 1;
}

function contentHashOf(content: string): string | null {
  const parsed: unknown = JSON.parse(content);
  const hash = isJsonObject(parsed) ? parsed['contentHash'] : null;
  return typeof hash === 'string' ? hash : null;
}
