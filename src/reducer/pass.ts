/**
 * One input's way through the reducer: its `now`, its facts, and the rows it has led to so far. Emitting a
 * row is the only way to change the state, and the first row is always the input's own, written when it is
 * noteworthy or something follows from it: quiet inputs leave no trace.
 */
import type { ObservationNeeds, Observed } from './input.ts';
import type { LogEntry, LogKind } from './log.ts';
import type { Change } from './state/change.ts';
import { applyChange } from './state/apply.ts';
import type { FleetState } from './state/state.ts';
import { timeOf, type Millis, type Time } from './time.ts';

export interface Row {
  readonly kind: LogKind;
  readonly hostname?: string | null;
  readonly rolloutId?: string | null;
  readonly channel?: string | null;
  readonly actor?: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly changes?: readonly Change[];
}

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
  write(changes: readonly Change[] = [], facts: Readonly<Record<string, unknown>> = {}): number {
    if (this.root === null) throw new Error('an input must name its own row before it is written');
    const { root } = this;
    this.root = null;
    const all = [...(root.changes ?? []), ...changes];
    const looked = this.observed === null ? {} : { observed: this.observed };
    const payload = { ...root.payload, ...facts, ...looked };
    this.rootSeq = this.append({ ...root, payload, changes: all }, null);
    return this.rootSeq;
  }

  /** Appends a row that follows from the input (or from the row `causedBy`), and applies its changes. */
  emit(row: Row, causedBy?: number): number {
    if (this.rootSeq === null && this.root !== null) this.write();
    return this.append(row, causedBy ?? this.rootSeq);
  }

  private append(row: Row, causedBy: number | null): number {
    const { state } = this;
    const seq = state.headSeq + 1;
    const changes = (row.changes ?? []).map((change) => {
      const real = withoutRepeats(state, change);
      applyChange(state, real, seq);
      return real;
    });
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
      changes,
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
