/**
 * One input's way through the reducer: its `now`, its facts, and the rows it has led to so far. Emitting a
 * row is the only way to change the state, and the first row is always the input's own, written when it is
 * noteworthy or something follows from it: quiet inputs leave no trace.
 */
import type { ObservationNeeds, Observed } from './input.ts';
import type { LogEntry, LogKind } from './log.ts';
import type { Change } from './state/change.ts';
import { SLICE_HOSTS, type Sliced } from './slices.ts';
import { applyChange, applyInParts } from './state/apply.ts';
import type { FleetState } from './state/state.ts';
import { timeOf, type Millis, type Time } from './time.ts';

export interface Row {
  readonly kind: LogKind;
  readonly hostname?: string | null;
  readonly rolloutId?: string | null;
  readonly channel?: string | null;
  readonly actor?: string | null;
  readonly payload: Facts;
  readonly changes?: readonly Change[];
}

type Facts = Readonly<Record<string, unknown>>;

export class Pass {
  readonly entries: LogEntry[] = [];
  private instant: Time | null = null;
  private root: Row | null = null;
  private rootSeq: number | null = null;
  readonly state: FleetState;
  readonly now: Millis;
  readonly observed: Observed | null;
  private readonly offers = new Map<string, { first: Time; last: Time }>();
  private readonly heard = new Map<string, Time>();

  private looked = 0;
  private readonly asked: { readonly rollouts: Set<string>; readonly hosts: Set<string> };

  /** `asked` is what `observed` speaks of: of other dispatches it says nothing, not that they were not offered. */
  constructor(
    state: FleetState,
    now: Millis,
    observed: Observed | null,
    asked: ObservationNeeds | null,
  ) {
    this.state = state;
    this.asked = { rollouts: new Set(asked?.rollouts), hosts: new Set(asked?.hosts) };
    this.now = Math.max(now, state.lastTs);
    this.observed = observed;
    for (const offer of observed?.offers ?? []) {
      const key = `${offer.rolloutId}\u0000${offer.hostname}`;
      this.offers.set(key, { first: offer.firstOfferedAt, last: offer.lastOfferedAt });
    }
    for (const { hostname, at } of observed?.heard ?? []) this.heard.set(hostname, at);
  }

  /** `now` as an instant. */
  get at(): Time {
    return (this.instant ??= timeOf(this.now));
  }

  /** Names the input's own row; it is written with the first row that follows, or by `write`. */
  begin(row: Row): void {
    this.root = row;
  }

  /** Writes the input's own row now, with what it changes. */
  write(changes: readonly Change[] = [], facts: Facts = {}): number {
    this.rootSeq = this.append(this.takeRoot(changes, facts), null);
    return this.rootSeq;
  }

  /** As `write`, for an input that changes as many hosts as a fleet may have. */
  *writeMany(changes: readonly Change[], facts: Facts = {}): Sliced<number> {
    this.rootSeq = yield* this.appendMany(this.takeRoot(changes, facts), null);
    return this.rootSeq;
  }

  private takeRoot(changes: readonly Change[], facts: Facts): Row {
    if (this.root === null) throw new Error('an input must name its own row before it is written');
    const { root } = this;
    this.root = null;
    const looked = this.observed === null ? {} : { observed: this.observed };
    return { ...root, payload: { ...root.payload, ...facts, ...looked }, changes };
  }

  /** Appends a row that follows from the input (or from the row `causedBy`), and applies its changes. */
  emit(row: Row, causedBy?: number): number {
    if (this.rootSeq === null && this.root !== null) this.write();
    return this.append(row, causedBy ?? this.rootSeq);
  }

  /** As `emit`, for a row that changes as many hosts as a fleet may have. */
  *emitMany(row: Row, causedBy?: number): Sliced<number> {
    if (this.rootSeq === null && this.root !== null) this.write();
    return yield* this.appendMany(row, causedBy ?? this.rootSeq);
  }

  /** Counts a host that was looked at; true when it is time to give way. */
  isSliceOver(): boolean {
    this.looked += 1;
    return this.looked % SLICE_HOSTS === 0;
  }

  private append(row: Row, causedBy: number | null): number {
    const seq = this.state.headSeq + 1;
    const changes: Change[] = [];
    for (const change of row.changes ?? []) {
      const real = withoutRepeats(this.state, change);
      applyChange(this.state, real, seq);
      changes.push(real);
    }
    return this.log({ ...row, changes }, causedBy, seq);
  }

  private *appendMany(row: Row, causedBy: number | null): Sliced<number> {
    const seq = this.state.headSeq + 1;
    const changes: Change[] = [];
    for (const change of row.changes ?? []) {
      const real = withoutRepeats(this.state, change);
      yield* applyInParts(this.state, real, seq);
      changes.push(real);
      if (this.isSliceOver()) yield;
    }
    return this.log({ ...row, changes }, causedBy, seq);
  }

  private log(row: Row & { changes: readonly Change[] }, causedBy: number | null, seq: number) {
    const { state } = this;
    state.headSeq = seq;
    state.lastTs = this.now;
    this.entries.push({
      seq,
      kind: row.kind,
      hostname: row.hostname ?? null,
      rolloutId: row.rolloutId ?? null,
      channel: row.channel ?? null,
      actor: row.actor ?? null,
      causedBy,
      payload: row.payload,
      changes: row.changes,
    });
    return seq;
  }

  /** Whether a dispatch was ever offered: null when nobody looked. */
  offerOf(rolloutId: string, hostname: string): { first: Time; last: Time } | 'never' | null {
    if (this.observed === null) return null;
    if (!this.asked.rollouts.has(rolloutId) && !this.asked.hosts.has(hostname)) return null;
    return this.offers.get(`${rolloutId}\u0000${hostname}`) ?? 'never';
  }

  /** An offer belongs to the dispatch that was taken back: one that is granted anew was never offered. */
  forgetOffer(rolloutId: string, hostname: string): void {
    this.offers.delete(`${rolloutId}\u0000${hostname}`);
  }

  /** When a host was last heard; null when unknown or when nobody looked. */
  heardAt(hostname: string): Time | null {
    return this.heard.get(hostname) ?? null;
  }
}

/** A record's change without the fields that have their value already: they would only lengthen the log. */
function withoutRepeats(state: FleetState, change: Change): Change {
  if (change.t !== 'record') return change;
  const before = state.rollouts.get(change.rolloutId)?.records.get(change.hostname);
  if (before === undefined) return change;
  const set = Object.entries(change.set).filter(
    ([field, value]) => Reflect.get(before, field) !== value,
  );
  return { ...change, set: Object.fromEntries(set) };
}
