/**
 * Everything an agent must not forget: the rollouts it took part in, each event it made, and which of them
 * the control plane has. One append-only list of lines; records and outbox are folds of it.
 *
 * An event counts once its line is durable: only then does the record change and only then may the switch
 * run or the event be sent. That an event was delivered need not be durable: forgetting it means sending it
 * again under the same seq, which costs nothing.
 */
import type { HealthPolicy, HostEvent } from '../reducer/host/events.ts';
import { pendingRecord, type HostRecord } from '../reducer/host/record.ts';
import { step, type StepRefusal, type Stepped } from '../reducer/host/step.ts';
import type { Snapshot } from './control-plane.ts';

export type JournalLine =
  | {
      readonly t: 'open';
      readonly snapshot: Snapshot;
      readonly wave: number;
      readonly policy: HealthPolicy;
    }
  | { readonly t: 'event'; readonly rolloutId: string; readonly event: HostEvent }
  /** The control plane has it (`accepted`) or refused it for good (the code of the refusal). */
  | {
      readonly t: 'settled';
      readonly rolloutId: string;
      readonly seq: number;
      readonly outcome: string;
    };

export interface JournalStore {
  load(): Promise<readonly JournalLine[]>;
  /** Resolves when the line is durable, or at once if it need not be. */
  append(line: JournalLine, durable: boolean): Promise<void>;
}

export interface Entry {
  readonly rolloutId: string;
  readonly event: HostEvent;
  /** null while it has to be sent. */
  outcome: string | null;
}

interface Rollout {
  record: HostRecord;
  readonly policy: HealthPolicy;
  /** Highest seq that the control plane is known to have judged. Never falls. */
  acknowledged: number;
}

/** Enough for a control plane that lost its database to be told how this host came to run what it runs. */
export const KEPT_ROLLOUTS = 2;

/**
 * Probe results are the only events without a natural number: a flapping probe makes one at every look. The
 * last ones say what there is to say, and older ones may be dropped, delivered or not: the protocol allows
 * gaps for this. 256 are two hours of flapping at the default interval.
 */
export const KEPT_PROBE_RESULTS = 256;

/**
 * The lines that still matter: those of the last rollouts that were opened, each from where it was opened
 * last, less the oldest probe results.
 */
export function retained(lines: readonly JournalLine[]): readonly JournalLine[] {
  const opened = new Map<string, number>();
  for (const [at, line] of lines.entries()) {
    if (line.t !== 'open') continue;
    opened.delete(rolloutOf(line));
    opened.set(rolloutOf(line), at);
  }
  const kept = new Map([...opened].slice(-KEPT_ROLLOUTS));
  const current = lines.filter((line, at) => at >= (kept.get(rolloutOf(line)) ?? Infinity));
  const dropped = new Set(
    current
      .flatMap((line) => (line.t === 'event' && isProbeResult(line.event) ? [keyOf(line)] : []))
      .slice(0, -KEPT_PROBE_RESULTS),
  );
  return dropped.size === 0 ? current : current.filter((line) => !dropped.has(keyOf(line)));
}

function rolloutOf(line: JournalLine): string {
  return line.t === 'open' ? line.snapshot.rolloutId : line.rolloutId;
}

/** The same for an event and for its settlement. */
function keyOf(line: JournalLine): string {
  const seq = line.t === 'open' ? 0 : line.t === 'event' ? line.event.seq : line.seq;
  return `${rolloutOf(line)} ${seq}`;
}

function isProbeResult(event: HostEvent): boolean {
  return event.kind === 'ProbeResult';
}

export class Journal {
  private readonly store: JournalStore;
  private readonly rollouts = new Map<string, Rollout>();
  private entries: Entry[] = [];
  private writing: Promise<unknown> = Promise.resolve();
  private waiters: (() => void)[] = [];

  private constructor(store: JournalStore) {
    this.store = store;
  }

  static async load(store: JournalStore): Promise<Journal> {
    const journal = new Journal(store);
    for (const line of retained(await store.load())) journal.fold(line);
    return journal;
  }

  /** The rollout opened last; null before the first. */
  get current(): HostRecord | null {
    return [...this.rollouts.values()].at(-1)?.record ?? null;
  }

  record(rolloutId: string): HostRecord | null {
    return this.rollouts.get(rolloutId)?.record ?? null;
  }

  /** What to do when the release turns out bad, as signed. */
  policy(rolloutId: string): HealthPolicy {
    return this.rolloutOf(rolloutId).policy;
  }

  /**
   * Begins a rollout, or begins one anew that never got past Pending. An older one that is still on its way
   * is over: no further event of it is made.
   */
  async open(snapshot: Snapshot, wave: number, policy: HealthPolicy): Promise<void> {
    await this.write({ t: 'open', snapshot, wave, policy }, true);
  }

  /** Makes the next event of a rollout: steps, writes, and only then changes the record. */
  make(rolloutId: string, build: (seq: number) => HostEvent): Promise<Stepped | StepRefusal> {
    return this.serially(async () => {
      const rollout = this.rolloutOf(rolloutId);
      const event = build(rollout.record.lastEventSeq + 1);
      const stepped = step(rollout.record, event, { onHealthFailure: rollout.policy }, 'local');
      if (!stepped.ok) return stepped;
      await this.append({ t: 'event', rolloutId, event }, true);
      return stepped;
    });
  }

  /** The oldest event that the control plane does not have yet. */
  get unsent(): Entry | null {
    return this.entries.find((entry) => entry.outcome === null) ?? null;
  }

  async settle(entry: Entry, outcome: string): Promise<void> {
    await this.write(
      { t: 'settled', rolloutId: entry.rolloutId, seq: entry.event.seq, outcome },
      false,
    );
  }

  /** Puts every kept event above `seq` (of one rollout, or of all) back into the outbox; says how many. */
  replay(seq: number, rolloutId?: string): number {
    let count = 0;
    for (const entry of this.entries) {
      const wanted =
        entry.event.seq > seq && (rolloutId === undefined || entry.rolloutId === rolloutId);
      if (!wanted || entry.outcome === null) continue;
      entry.outcome = null;
      count += 1;
    }
    if (count > 0) this.wake();
    return count;
  }

  /** For heartbeats: what the control plane should have of each rollout. */
  statedSeqs(): Record<string, number> {
    return Object.fromEntries(
      [...this.rollouts].map(([id, rollout]) => [id, rollout.acknowledged]),
    );
  }

  /** Resolves at the next change that may have put something into the outbox, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      this.waiters.push(done);
    });
  }

  private write(line: JournalLine, durable: boolean): Promise<void> {
    return this.serially(() => this.append(line, durable));
  }

  /** One change at a time: a seq is taken only when the one before it is durable. */
  private serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.writing.then(work);
    this.writing = result.catch(() => undefined);
    return result;
  }

  private async append(line: JournalLine, durable: boolean): Promise<void> {
    await this.store.append(line, durable);
    this.fold(line);
    if (line.t === 'event') this.wake();
  }

  private wake(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }

  private fold(line: JournalLine): void {
    switch (line.t) {
      case 'open':
        return this.begin(recordOf(line.snapshot, line.wave), line.policy);
      case 'event':
        return this.apply(line.rolloutId, line.event);
      case 'settled':
        return this.mark(line.rolloutId, line.seq, line.outcome);
    }
  }

  private begin(record: HostRecord, policy: HealthPolicy): void {
    for (const older of this.rollouts.values()) {
      if (!isFinished(older.record)) older.record = { ...older.record, closed: 'abandoned' };
    }
    this.rollouts.delete(record.rolloutId);
    this.rollouts.set(record.rolloutId, { record, policy, acknowledged: record.lastEventSeq });
    for (const id of [...this.rollouts.keys()].slice(0, -KEPT_ROLLOUTS)) this.rollouts.delete(id);
    this.entries = this.entries.filter(
      ({ rolloutId }) => rolloutId !== record.rolloutId && this.rollouts.has(rolloutId),
    );
  }

  private apply(rolloutId: string, event: HostEvent): void {
    const rollout = this.rolloutOf(rolloutId);
    const stepped = step(rollout.record, event, { onHealthFailure: rollout.policy }, 'local');
    if (!stepped.ok) {
      throw new Error(
        `the journal holds ${event.kind} ${event.seq} of ${rolloutId}: ${stepped.detail}`,
      );
    }
    rollout.record = stepped.record;
    this.entries.push({ rolloutId, event, outcome: null });
    this.dropProbeResults();
  }

  private dropProbeResults(): void {
    if (this.entries.length <= 2 * KEPT_PROBE_RESULTS) return; // not at every event
    const results = this.entries.filter((entry) => isProbeResult(entry.event));
    const dropped = new Set(results.slice(0, -KEPT_PROBE_RESULTS));
    this.entries = this.entries.filter((entry) => !dropped.has(entry));
  }

  private mark(rolloutId: string, seq: number, outcome: string): void {
    const rollout = this.rollouts.get(rolloutId);
    if (rollout !== undefined) rollout.acknowledged = Math.max(rollout.acknowledged, seq);
    for (const entry of this.entries) {
      if (entry.rolloutId === rolloutId && entry.event.seq === seq) entry.outcome = outcome;
    }
  }

  private rolloutOf(rolloutId: string): Rollout {
    const rollout = this.rollouts.get(rolloutId);
    if (rollout === undefined) throw new Error(`the journal holds no rollout ${rolloutId}`);
    return rollout;
  }
}

export function isFinished(record: HostRecord): boolean {
  return record.state === 'Converged' || record.state === 'Reverted' || record.closed !== null;
}

/** Keeps the lines in memory: for simulations, and for agents that the control plane may bootstrap. */
export function memoryStore(lines: JournalLine[] = []): JournalStore {
  return {
    load: () => Promise.resolve([...lines]),
    append: (line) => {
      lines.push(line);
      return Promise.resolve();
    },
  };
}

/** What a rollout begins with. */
export function recordOf(snapshot: Snapshot, wave: number): HostRecord {
  const { rolloutId, hostname, channel, targetClosure } = snapshot;
  return {
    ...pendingRecord({ rolloutId, hostname, channel, wave, targetClosure }),
    state: snapshot.state,
    currentClosureAtDispatch: snapshot.currentClosureAtDispatch ?? null,
    currentClosure: snapshot.currentClosure ?? null,
    dispatchedAt: snapshot.dispatchedAt,
    dispatchAckedAt: snapshot.dispatchAckedAt ?? null,
    activationStartedAt: snapshot.activationStartedAt ?? null,
    activationCompletedAt: snapshot.activationCompletedAt ?? null,
    soakDueAt: snapshot.soakDueAt ?? null,
    lastEventSeq: snapshot.lastEventSeq,
  };
}
