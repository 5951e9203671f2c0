/**
 * What must hold at every step, checked beside the product from what it committed: the log is folded a second
 * time, row by row as it was stored, and the rules of the design are asked of that fold. What is wrong is
 * noted, never thrown: the run goes on to the end of its step and says it there.
 */
import { isDeepStrictEqual } from 'node:util';
import { chainHash, GENESIS } from '../../src/eventlog/chain.ts';
import { differences } from '../../src/eventlog/audit.ts';
import type { LogEntry } from '../../src/reducer/log.ts';
import { foldEntry } from '../../src/reducer/state/apply.ts';
import { dump, restore } from '../../src/reducer/state/rows-io.ts';
import { touched } from '../../src/reducer/state/touched.ts';
import type { RecordRow } from '../../src/reducer/state/rows.ts';
import { emptyState, type FleetState } from '../../src/reducer/state/state.ts';
import type { AgentEventInput, RefusedEventInput } from '../../src/reducer/input.ts';
import { millisOf } from '../../src/reducer/time.ts';
import type { NewRow } from '../../src/eventlog/append.ts';
import { decodePayload } from '../../src/wire/log.ts';
import { payloadProblem } from '../../src/wire/log-payload.ts';
import { broken, isWaveDone, recordsOf } from '../reducer/support/rules.ts';
import type { Batch, Database, QueuedInput } from './database.ts';
import { undecided } from './decided.ts';
import { Mirror } from './mirror.ts';
import { keyOf } from './tables.ts';

/** The whole of the tables is compared with the fold after so many commits, and at the end. */
const COMPARE_EVERY = 100;

type Stored = Omit<LogEntry, 'kind'> & { readonly kind: string };

export class Checker {
  readonly violations: string[] = [];
  private readonly db: Database;
  private fold: FleetState = emptyState();
  private lastHash: Uint8Array = GENESIS;
  private epoch = 0;
  private commits = 0;
  readonly mirror = new Mirror();
  /** Inputs that are in the queue for good, less those that were decided. */
  private waiting = new Set<number>();
  private decided = new Set<number>();
  private applied = new Set<string>();

  constructor(db: Database) {
    this.db = db;
    db.onCommit = (batch, taken, offered) => this.committed(batch, taken, offered);
    db.onInsert = (id) => this.waiting.add(id);
    db.onPoison = (error) => this.note(`thrown: ${error}`);
  }

  note(what: string): void {
    this.violations.push(what);
  }

  private committed(batch: Batch, taken: readonly QueuedInput[], offered: readonly string[]): void {
    this.commits += 1;
    const { epoch } = this.db.data.epoch;
    if (batch.epoch !== epoch)
      this.note(`fence: epoch ${String(batch.epoch)} committed while ${String(epoch)} leads`);
    for (const id of batch.ids) {
      if (this.decided.has(id)) this.note(`once: input ${String(id)} was applied twice`);
      this.decided.add(id);
      this.waiting.delete(id);
    }
    for (const what of undecided(batch, taken)) this.note(`lost: ${what}`);
    const entries = batch.rows.map((row) => this.read(row));
    for (const group of inputsOf(entries)) this.foldInput(group, batch);
    this.compareTouched(batch, entries);
    if (this.commits % COMPARE_EVERY === 0) this.compareAll();
    this.checkOffers();
    for (const key of offered) this.checkTakenBack(key);
  }

  /** A row as stored: in its place, chained, and decoded from its text. */
  private read(row: NewRow): Stored & { readonly ts: string } {
    if (row.seq !== this.fold.headSeq + 1 && row.seq <= this.fold.headSeq)
      this.note(`log: seq ${String(row.seq)} comes twice`);
    if (row.epoch < this.epoch)
      this.note(`log: epoch ${String(row.epoch)} after ${String(this.epoch)}`);
    this.epoch = row.epoch;
    if (!chainHash(this.lastHash, row).equals(row.hash))
      this.note(`log: the chain breaks at ${String(row.seq)}`);
    this.lastHash = row.hash;
    const decoded = decodePayload(JSON.parse(row.payload), row);
    const problem = payloadProblem(row.kind, decoded.payload);
    if (problem !== null) this.note(`log: row ${String(row.seq)} of no known shape: ${problem}`);
    return { ...row, ...decoded };
  }

  private foldInput(rows: readonly (Stored & { readonly ts: string })[], batch: Batch): void {
    const before = recordsOf(this.fold);
    const timeBefore = this.fold.lastTs;
    const { signedAt } = this.fold.fleet;
    for (const row of rows) {
      if (row.seq !== this.fold.headSeq + 1)
        this.note(`log: ${String(row.seq)} follows ${String(this.fold.headSeq)}`);
      foldEntry(this.fold, row);
      this.fold.lastTs = millisOf(row.ts);
      if (this.fold.lastTs < timeBefore)
        this.note(`log: time runs backwards at ${String(row.seq)}`);
      this.checkWave(row);
    }
    this.mirror.prescribed(this.fold.fleet.fleetHash ?? '', this.db.scheduler.now);
    if (signedAt !== null && (this.fold.fleet.signedAt ?? '') < signedAt)
      this.note(`rollback: the set of ${signedAt} gave way to an older one`);
    const [root] = rows;
    if (root === undefined) return;
    const entries = rows as readonly LogEntry[];
    const claimed = { input: { kind: 'Tick' }, now: this.fold.lastTs } as const;
    const step = { ...claimed, entries, verdict: { status: 'applied' } as const };
    for (const found of broken(before, this.fold, step)) {
      this.note(`rule: ${found} (epoch ${String(batch.epoch)}, seq ${String(root.seq)})`);
    }
    this.checkEvent(root, rows, before);
  }

  private checkWave(row: Stored): void {
    if (row.payload['event'] !== 'WaveAdvanced' || row.rolloutId === null) return;
    const rollout = this.fold.rollouts.get(row.rolloutId);
    const wave = Number(row.payload['fromWave']);
    if (rollout === undefined || isWaveDone(this.fold, rollout, wave, this.fold.lastTs)) return;
    this.note(`wave: ${row.rolloutId} left wave ${String(wave)} before it was done`);
  }

  /** Each event once; a refusal changes nothing; what probes said before a switch is forgotten by it. */
  private checkEvent(
    root: Stored,
    rows: readonly Stored[],
    before: ReadonlyMap<string, RecordRow>,
  ): void {
    if (root.kind !== 'agent_event' || root.rolloutId === null || root.hostname === null) return;
    const { event, verdict } = root.payload;
    if (typeof event !== 'object' || event === null || !('seq' in event) || !('kind' in event))
      return;
    const key = keyOf({ rolloutId: root.rolloutId, hostname: root.hostname });
    if (verdict !== 'applied') return;
    const once = `${key} ${String(event.seq)}`;
    if (this.applied.has(once)) this.note(`once: ${once} was applied twice`);
    this.applied.add(once);
    const was = before.get(key);
    const is = this.fold.rollouts.get(root.rolloutId)?.records.get(root.hostname);
    if (was === undefined || is === undefined) return;
    for (const field of this.mirror.differences(once, event, is))
      this.note(`mirror: ${once} left another ${field} than its agent has`);
    if (was.closed !== null)
      this.note(`rule: ${key} is ${was.closed} and took ${String(event.kind)}`);
    if (event.kind !== 'ActivationCompleted') return;
    const kept =
      Object.keys(is.probes).length > 0 ||
      is.probeObservedFirstAt !== null ||
      is.probeFailureFirstAt !== null;
    if (kept)
      this.note(
        `probes: ${key} kept probe results across its activation (${String(rows.length)} rows)`,
      );
  }

  /** What the commit wrote is what its log rows say. */
  private compareTouched({ touched: written }: Batch, entries: readonly Stored[]): void {
    const folded = touched(this.fold, entries as readonly LogEntry[]);
    if (!isDeepStrictEqual(folded, written))
      this.note('fold: a commit wrote other rows than its log says');
  }

  /** Every table, field for field, and every input that ever was in the queue. */
  compareAll(): void {
    const { db } = this;
    for (const id of this.waiting)
      if (!db.data.queue.has(id))
        this.note(`lost: input ${String(id)} is gone and was never decided`);
    const tables = dump(restore(db.data.tables.rows(db.headSeq, db.lastTs)));
    const unequal = differences(dump(this.fold), tables);
    if (unequal.length > 0)
      this.note(`fold: the tables are not the log's fold: ${unequal.join(', ')}`);
  }

  /** An offer is of the dispatch that stands: a host that is granted anew was never offered. */
  private checkOffers(): void {
    for (const [key, offer] of this.db.data.offers) {
      const dispatch = this.db.data.tables.dispatches.get(key);
      if (dispatch === undefined) this.note(`offer: ${key} has an offer and no dispatch`);
      else if (dispatch.enqueuedAt !== offer.of)
        this.note(`offer: ${key} was granted anew and counts as offered`);
    }
  }

  /** A dispatch that its host has been handed is not taken back as if nobody knew of it. */
  private checkTakenBack(key: string): void {
    const record = this.db.data.tables.records.get(key);
    if (record?.state !== 'Pending' || record.closed !== null || record.wasOffered) return;
    this.note(`offer: ${key} was offered and is taken back as if it never was`);
  }

  /** Called when an event was answered with 2xx: it must be stored by now. */
  accepted(input: AgentEventInput | RefusedEventInput): void {
    if (input.kind !== 'AgentEvent') return;
    const { rolloutId, hostname, event } = input;
    const key = keyOf({ rolloutId, hostname });
    if (this.applied.has(`${key} ${String(event.seq)}`)) return;
    for (const row of this.db.data.queue.values()) {
      if (row.hostname !== hostname || row.rolloutId !== rolloutId) continue;
      if (row.payload.includes(`"seq":${String(event.seq)}`)) return;
    }
    for (const row of this.db.data.log) {
      if (row.hostname === hostname && row.payload.includes(`"seq":${String(event.seq)}`)) return;
    }
    const record = this.db.data.tables.records.get(key);
    if (record !== undefined && record.lastEventSeq >= event.seq) return;
    this.note(
      `durable: ${key} ${event.kind} ${String(event.seq)} was accepted and is stored nowhere`,
    );
  }

  /** The database is an older one now: what counts begins from there. */
  restored(): void {
    this.fold = emptyState();
    this.lastHash = GENESIS;
    this.epoch = 0;
    this.decided = new Set();
    this.waiting = new Set(this.db.data.queue.keys());
    this.applied = new Set();
    this.mirror.restored();
    for (const row of this.db.data.log) {
      const entry = this.read(row);
      foldEntry(this.fold, entry);
      this.fold.lastTs = millisOf(entry.ts);
      const { event, verdict } = entry.payload;
      if (verdict !== 'applied' || typeof event !== 'object' || event === null || !('seq' in event))
        continue;
      const once = `${entry.rolloutId ?? ''} ${entry.hostname ?? ''} ${String(event.seq)}`;
      this.applied.add(once);
      this.mirror.applied(once, event);
    }
  }
}

/** The rows of one input follow each other, its own row first. */
function inputsOf<T extends Stored>(rows: readonly T[]): T[][] {
  const groups: T[][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (row.causedBy === null || last === undefined) groups.push([row]);
    else last.push(row);
  }
  return groups;
}
