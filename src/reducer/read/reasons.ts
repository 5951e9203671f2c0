/**
 * The keys of what holds a host of a rollout, and since when: what the planner noted and logged, and what it notes of
 * nobody because the rows tell it. One host and whole rollouts are answered from here, so their numbers agree; where
 * the same is counted for 100,000 hosts it is counted in SQL (`db/blocked.ts`), and a test holds the two to each other.
 */
import { everyGate, gatesOnGranted, sinceByRows } from '../planner/gates.ts';
import type { Held } from '../planner/gates/gate.ts';
import { BUDGET_GATE, budgetState } from '../state/flight.ts';
import { sinceOf } from '../state/blocker-since.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { BlockerRow, RecordRow } from '../state/rows.ts';
import type { Millis, Time } from '../time.ts';
import {
  REBOOT_PENDING,
  rebootPendingSince,
  UNACKNOWLEDGED,
  UNREACHABLE_MOVE,
  unreachableSince,
} from './explain-remark.ts';

export interface Reason {
  readonly key: string;
  /** Since when this key holds without a break, as far as the rows tell; null where they do not. */
  readonly since: Time | null;
}

/** Of a host of one rollout, whose row of `blockers` is `noted`. */
export type ReasonsOf = (record: RecordRow, noted: BlockerRow | undefined) => readonly Reason[];

/** Of the hosts of one rollout, one after the other. Those that are held alike share one answer. */
export function reasonsIn(state: FleetState, rollout: RolloutState, now: Millis): ReasonsOf {
  const since = sinceIn(state, rollout);
  const reasonsOf = (record: RecordRow): readonly Reason[] => {
    const host = state.hosts.get(record.hostname);
    const held: Held = { state, rollout, record, host, now };
    return keysOf(held).map((key) => ({ key, since: since(held, key) }));
  };
  return sharing(state, rollout, reasonsOf);
}

function sinceIn(state: FleetState, rollout: RolloutState) {
  const others = new Map<string, Time | null>();
  const inFlightToo = new Map<string, Time | null>();
  const byRows = (held: Held, key: string): Time | null => {
    if (!key.startsWith(BUDGET_GATE)) return sinceByRows(held, key);
    // Whoever is in flight already waits for one slot more; others among themselves are alike.
    const index = Number(key.slice(BUDGET_GATE.length));
    const { inFlight } = budgetState(state, rollout, index);
    const full = inFlight.has(held.record.hostname) ? inFlightToo : others;
    let since = full.get(key);
    if (since === undefined) full.set(key, (since = sinceByRows(held, key)));
    return since;
  };
  return (held: Held, key: string): Time | null => sinceWhen(held, key, byRows);
}

interface Alike {
  readonly noted: BlockerRow;
  readonly budgets: readonly number[] | undefined;
  readonly reasons: readonly Reason[];
}

/** Sets of gates and times that are remembered at once: hosts differ in a few ways, however many there are. */
const MOST_ALIKE = 16;

/**
 * What holds a host that waits without a dispatch depends on what was noted of it and on its budgets alone, unless it is in
 * flight elsewhere: a hundred thousand of them need not be judged one by one.
 */
function sharing(
  state: FleetState,
  rollout: RolloutState,
  reasonsOf: (record: RecordRow) => readonly Reason[],
): ReasonsOf {
  const { budgets: pinned } = rollout.row.plan;
  const inFlight = new Set(
    pinned.flatMap((_, i) => [...budgetState(state, rollout, i).inFlight.keys()]),
  );
  const known: Alike[] = [];
  return (record, noted) => {
    const { hostname, closed, state: stands } = record;
    const isOwn =
      closed !== null ||
      stands !== 'Pending' ||
      rollout.dispatches.has(hostname) ||
      inFlight.has(hostname);
    if (isOwn || noted === undefined) return reasonsOf(record);
    const budgets = rollout.hostBudgets.get(hostname);
    const found = known.find((one) => one.budgets === budgets && isNotedAlike(one.noted, noted));
    if (found !== undefined) return found.reasons;
    const reasons = reasonsOf(record);
    known.unshift({ noted, budgets, reasons });
    known.length = Math.min(known.length, MOST_ALIKE);
    return reasons;
  };
}

/** Rows that were loaded share nothing but what they say. */
function isNotedAlike(a: BlockerRow, b: BlockerRow): boolean {
  if (a.since !== b.since || (a.earlier === null) !== (b.earlier === null)) return false;
  if (a.gates !== b.gates) {
    if (a.gates.length !== b.gates.length) return false;
    for (let i = 0; i < a.gates.length; i += 1) if (a.gates[i] !== b.gates[i]) return false;
  }
  return a.earlier === b.earlier || a.gates.every((gate) => sinceOf(a, gate) === sinceOf(b, gate));
}

/** Everybody of whom there may be a reason: who is noted, has a dispatch, or is on its way. */
export function visitInQuestion(
  { blockers, dispatches, moving, records }: RolloutState,
  visit: (record: RecordRow, noted: BlockerRow | undefined) => void,
): void {
  for (const [hostname, noted] of blockers) {
    const record = records.get(hostname);
    if (record !== undefined) visit(record, noted);
  }
  for (const names of [dispatches.keys(), moving]) {
    for (const hostname of names) {
      const record = blockers.has(hostname) ? undefined : records.get(hostname);
      if (record !== undefined) visit(record, undefined);
    }
  }
}

function keysOf(held: Held): readonly string[] {
  const { rollout, record } = held;
  const noted = rollout.blockers.get(record.hostname)?.gates ?? [];
  if (record.closed !== null) return noted;
  switch (record.state) {
    case 'Pending':
      return pendingKeys(held, noted);
    case 'Deferred':
      return [...noted, REBOOT_PENDING];
    case 'Activating':
    case 'Soaking':
    case 'Failed':
      return unreachableSince(held.state, record) === null ? noted : [...noted, UNREACHABLE_MOVE];
    case 'Reverted':
    case 'Converged':
      return noted;
  }
}

/** Full budgets of a host that is held anyway; of a granted one, that it does not answer and why it is not asked. */
function pendingKeys(held: Held, noted: readonly string[]): readonly string[] {
  const dispatch = held.rollout.dispatches.get(held.record.hostname);
  if (dispatch === undefined) return noted.length === 0 ? noted : everyGate(held, noted);
  // It was not acknowledged for so long that the planner noted it: said once is enough.
  const awaits = noted.includes('dispatch-refused') ? [] : [UNACKNOWLEDGED];
  return [...noted, ...awaits, ...gatesOnGranted(held)];
}

function sinceWhen(
  held: Held,
  key: string,
  byRows: (held: Held, key: string) => Time | null,
): Time | null {
  const { state, rollout, record } = held;
  if (key === UNREACHABLE_MOVE) return unreachableSince(state, record);
  if (key === REBOOT_PENDING) return rebootPendingSince(record);
  if (key === UNACKNOWLEDGED) return rollout.dispatches.get(record.hostname)?.enqueuedAt ?? null;
  const noted = rollout.blockers.get(record.hostname);
  return noted?.gates.includes(key) === true ? sinceOf(noted, key) : byRows(held, key);
}
