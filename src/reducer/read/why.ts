/**
 * "Why does it not move?", for one host and for a whole rollout. The keys are those that the planner noted
 * and logged; what is behind them is said by the gates' own `explain`. Nothing is judged here.
 */
import { everyGate, explain, gatesOnGranted, heldAt, isShared } from '../planner/gates.ts';
import { EXPLAIN_HOSTS } from '../planner/gates/gate.ts';
import { sinceOf } from '../state/blocker-since.ts';
import { lastChangeOfHost } from '../state/last-change.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { DispatchRow, HostRow, RecordRow, RolloutRow } from '../state/rows.ts';
import type { Millis, Time } from '../time.ts';
import {
  explainRemark,
  explainRolloutBlocker,
  UNACKNOWLEDGED,
  UNREACHABLE_MOVE,
  unreachableSince,
  type OfferedAt,
  type Remark,
} from './explain-remark.ts';
import { standingOf, type Standing } from './standing.ts';

export interface Why extends Remark {
  /** What holds: a gate, or a remark. */
  readonly gate: string;
  /** The gate with its subject. */
  readonly key: string;
  /** Since when this key holds without a break; of many hosts, the longest. Null when it was not noted. */
  readonly since: Time | null;
  /** Each of `hosts`, with what it does. */
  readonly behind: readonly Standing[];
}

export interface HostInRollout {
  readonly rollout: RolloutRow;
  readonly record: RecordRow;
  readonly dispatch: DispatchRow | null;
  readonly blockers: readonly Why[];
  readonly failures: readonly {
    readonly probeName: string;
    readonly controlId: string;
    readonly since: Time;
  }[];
}

export interface HostWhy {
  /** What last changed it, its records or its dispatches: 0, never heard of. */
  readonly seq: number;
  readonly host: HostRow | null;
  /** Newest first. */
  readonly rollouts: readonly HostInRollout[];
}

/**
 * Everything that is known of one host, with every reason for which it does not move now. `offers`: when its agent last
 * fetched what each rollout dispatched to it, which no state holds; absent where nobody looked.
 */
export function whyHost(
  state: FleetState,
  hostname: string,
  now: Millis,
  offers?: ReadonlyMap<string, Time>,
): HostWhy {
  const entry = state.hosts.get(hostname);
  const found: HostInRollout[] = [];
  for (const id of entry?.rollouts ?? []) {
    const rollout = state.live.get(id);
    const record = rollout?.records.get(hostname);
    if (rollout !== undefined && record !== undefined) {
      const offeredAt = offers === undefined ? undefined : (offers.get(id) ?? null);
      found.push(inRollout(state, rollout, record, { now, offeredAt }));
    }
  }
  found.sort((a, b) => b.rollout.ordinal - a.rollout.ordinal);
  return {
    seq: lastChangeOfHost(state, hostname),
    host: entry === undefined || entry.row.seq === 0 ? null : entry.row,
    rollouts: found,
  };
}

function inRollout(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  asked: Asked,
): HostInRollout {
  const { hostname } = record;
  const keys = keysOf(state, rollout, record, asked.now);
  return {
    rollout: rollout.row,
    record,
    dispatch: rollout.dispatches.get(hostname) ?? null,
    blockers: keys.flatMap((key) => {
      const since = sinceWhen(state, rollout, record, key);
      return whyKey(state, rollout, record, { ...asked, key, since }) ?? [];
    }),
    failures: [...(rollout.failures.get(hostname)?.values() ?? [])],
  };
}

/**
 * What was noted, and what nobody notes: that a dispatch awaits its host, that a host fell silent on its way, and full
 * budgets of one that is held anyway.
 */
function keysOf(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  now: Millis,
): readonly string[] {
  const { hostname, state: stands, closed } = record;
  const noted = rollout.blockers.get(hostname)?.gates ?? [];
  const held = heldAt(state, rollout.row.rolloutId, hostname, now);
  if (unreachableSince(state, record) !== null) return [...noted, UNREACHABLE_MOVE];
  if (held === null || stands !== 'Pending' || closed !== null) return noted;
  const dispatch = rollout.dispatches.get(hostname);
  if (dispatch === undefined) return noted.length === 0 ? noted : everyGate(held, noted);
  const awaits = isToldRefused(noted) ? [] : [UNACKNOWLEDGED];
  return [...noted, ...awaits, ...(dispatch.suspended ? gatesOnGranted(held) : [])];
}

/** It was not acknowledged for so long that the planner noted it: said once is enough. */
function isToldRefused(noted: readonly string[]): boolean {
  return noted.includes('dispatch-refused');
}

function sinceWhen(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  key: string,
): Time | null {
  const { hostname } = record;
  if (key === UNREACHABLE_MOVE) return unreachableSince(state, record);
  if (key === UNACKNOWLEDGED) return rollout.dispatches.get(hostname)?.enqueuedAt ?? null;
  const noted = rollout.blockers.get(hostname);
  return noted?.gates.includes(key) === true ? sinceOf(noted, key) : null;
}

interface Asked {
  readonly now: Millis;
  readonly offeredAt?: OfferedAt;
}

interface Noted extends Asked {
  readonly key: string;
  readonly since: Time | null;
}

function whyKey(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  { key, since, now, offeredAt }: Noted,
): Why | null {
  const said = explain(state, record, key, now) ?? explainRemark(rollout, record, key, offeredAt);
  return said === null ? null : withStandings(state, rollout, key, since, said);
}

function withStandings(
  state: FleetState,
  rollout: RolloutState,
  key: string,
  since: Time | null,
  { because, releasedBy, hosts, total }: Remark,
): Why {
  return {
    ...{ gate: key.split(':')[0] ?? key, key, since, because, releasedBy, hosts, total },
    behind: hosts.map((hostname) => standingOf(state, rollout, hostname)),
  };
}

/** One reason that holds many hosts of a rollout. */
export interface Group {
  readonly why: Why;
  /** How many hosts it holds. */
  readonly count: number;
  /** The first of them by name, at most `EXPLAIN_HOSTS`. */
  readonly held: readonly string[];
}

export interface RolloutWhy {
  /** Reasons of the rollout as a whole. */
  readonly rollout: readonly Why[];
  /** Reasons of its hosts, the one that holds most hosts first. */
  readonly hosts: readonly Group[];
}

/** Every reason for which hosts of a rollout do not move; null when it is unknown or pruned. */
export function whyRollout(state: FleetState, rolloutId: string, now: Millis): RolloutWhy | null {
  const rollout = state.live.get(rolloutId);
  if (rollout === undefined) return null;
  const groups = new Map<string, { since: Time; held: string[] }>();
  for (const { hostname, key, since } of reasonsOf(state, rollout)) {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { since, held: [hostname] });
    else {
      group.held.push(hostname);
      if (since < group.since) group.since = since;
    }
  }
  const hosts = [...groups].flatMap(([key, { since, held }]) => {
    const first = held.sort().slice(0, EXPLAIN_HOSTS);
    const why = whyMany(state, rollout, first, { key, since, now });
    return why === null ? [] : [{ why, count: held.length, held: first }];
  });
  hosts.sort((a, b) => b.count - a.count || (a.why.key < b.why.key ? -1 : 1));
  const ofRollout = rollout.row.blockers.flatMap((key) => {
    const said = explainRolloutBlocker(state, rollout, key);
    const since = rollout.row.blockersSince?.[key] ?? null;
    return said === null ? [] : [withStandings(state, rollout, key, since, said)];
  });
  return { rollout: ofRollout, hosts };
}

/** What was noted of each host, the dispatches that await their hosts, and who fell silent on its way. */
function* reasonsOf(state: FleetState, { blockers, dispatches, records, moving }: RolloutState) {
  for (const noted of blockers.values()) {
    for (const key of noted.gates)
      yield { hostname: noted.hostname, key, since: sinceOf(noted, key) };
  }
  for (const [hostname, { enqueuedAt }] of dispatches) {
    const awaits = records.get(hostname)?.state === 'Pending';
    if (awaits && !isToldRefused(blockers.get(hostname)?.gates ?? []))
      yield { hostname, key: UNACKNOWLEDGED, since: enqueuedAt };
  }
  for (const hostname of moving) {
    const record = records.get(hostname);
    const since = record === undefined ? null : unreachableSince(state, record);
    if (since !== null) yield { hostname, key: UNREACHABLE_MOVE, since };
  }
}

/** Reasons of their own that are told of a group, before it says how many more there are. */
const TOLD = 5;

/** One key may hold each host for a reason of its own: two holds, two silences. Then each is told, by its host. */
function whyMany(
  state: FleetState,
  rollout: RolloutState,
  hostnames: readonly string[],
  noted: Noted,
): Why | null {
  // A wave of thousands is looked through for each: once, where the answer is the same.
  const asked = isShared(noted.key) ? hostnames.slice(0, 1) : hostnames;
  const each = asked.flatMap((hostname) => {
    const record = rollout.records.get(hostname);
    const why = record === undefined ? null : whyKey(state, rollout, record, noted);
    return why === null ? [] : [{ hostname, why }];
  });
  const [first] = each;
  if (first === undefined) return null;
  if (each.every(({ why }) => why.because === first.why.because)) return first.why;
  const told = each.slice(0, TOLD).map(({ hostname, why }) => `${hostname}: ${why.because}`);
  const more = each.length > TOLD ? [`and ${String(each.length - TOLD)} more`] : [];
  const all = [...new Set(each.flatMap(({ why }) => why.hosts))];
  const because = [...told, ...more].join('; ');
  return withStandings(state, rollout, noted.key, noted.since, {
    ...{ because, releasedBy: first.why.releasedBy },
    ...{ hosts: all.slice(0, EXPLAIN_HOSTS), total: all.length },
  });
}
