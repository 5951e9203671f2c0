/**
 * "Why does it not move?", for one host and for a whole rollout. The keys are those that the planner noted
 * and logged; what is behind them is said by the gates' own `explain`. Nothing is judged here.
 */
import { explain, isShared } from '../planner/gates.ts';
import { EXPLAIN_HOSTS, noteFirst } from '../planner/gates/gate.ts';
import { lastChangeOfHost } from '../state/last-change.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { DispatchRow, HostRow, RecordRow, RolloutRow } from '../state/rows.ts';
import type { Millis, Time } from '../time.ts';
import {
  explainRemark,
  explainRolloutBlocker,
  type OfferedAt,
  type Remark,
} from './explain-remark.ts';
import { holdsNext, type Next } from './next.ts';
import { plain } from './quote.ts';
import { reasonsIn, visitInQuestion, type Reason } from './reasons.ts';
import { standingOf, type Standing } from './standing.ts';

export interface Why extends Remark {
  /** What holds: a gate, or a remark. */
  readonly gate: string;
  /** The gate with its subject. */
  readonly key: string;
  /** Since when this key holds without a break; of many hosts, the longest. Null where no row tells. */
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
  /** What holds nothing of it now, and would hold whatever comes next. */
  readonly next: readonly Why[];
  /** Why its newest rollout does not get on as a whole, while the host waits in it. */
  readonly rollout: readonly Why[];
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
    next: whatHoldsNext(state, hostname, found[0], now),
    rollout: waitsWith(state, found[0], now),
  };
}

function waitsWith(
  state: FleetState,
  newest: HostInRollout | undefined,
  now: Millis,
): readonly Why[] {
  const rollout = newest === undefined ? undefined : state.live.get(newest.rollout.rolloutId);
  if (newest === undefined || rollout === undefined) return [];
  const { state: stands, closed } = newest.record;
  return stands === 'Pending' && closed === null ? whyWhole(state, rollout, now) : [];
}

/** What would hold its next dispatch, and is not among what holds it now. */
function whatHoldsNext(
  state: FleetState,
  hostname: string,
  newest: HostInRollout | undefined,
  now: Millis,
): readonly Why[] {
  const isSaid = ({ key, because }: Next): boolean =>
    newest?.blockers.some((one) => one.key === key && one.because === because) === true;
  return holdsNext(state, hostname, newest?.record)
    .filter((one) => !isSaid(one))
    .map((one) => {
      const rollout = state.live.get(one.rolloutId ?? newest?.rollout.rolloutId ?? '');
      return withStandings(state, rollout, { ...one, now }, one);
    });
}

function inRollout(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  asked: Asked,
): HostInRollout {
  const { hostname } = record;
  const reasons = reasonsIn(state, rollout, asked.now)(record, rollout.blockers.get(hostname));
  return {
    rollout: rollout.row,
    record,
    dispatch: rollout.dispatches.get(hostname) ?? null,
    blockers: reasons.flatMap(
      ({ key, since }) => whyKey(state, rollout, record, { ...asked, key, since }) ?? [],
    ),
    failures: [...(rollout.failures.get(hostname)?.values() ?? [])],
  };
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
  const said =
    explain(state, record, key, now) ?? explainRemark(state, rollout, record, { key, offeredAt });
  return said === null ? null : withStandings(state, rollout, { key, since, now }, said);
}

function withStandings(
  state: FleetState,
  rollout: RolloutState | undefined,
  { key, since, now }: Noted,
  { because, releasedBy, hosts, total }: Remark,
): Why {
  return {
    ...{ gate: key.split(':')[0] ?? key, key, since, releasedBy, hosts, total },
    because: plain(because),
    behind: hosts.map((hostname) => standingOf(state, rollout, hostname, now)),
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
  const hosts = [...groupsOf(state, rollout, now)].flatMap(([key, { since, count, first }]) => {
    const why = whyMany(state, rollout, { count, first }, { key, since, now });
    return why === null ? [] : [{ why, count, held: first }];
  });
  hosts.sort((a, b) => b.count - a.count || (a.why.key < b.why.key ? -1 : 1));
  return { rollout: whyWhole(state, rollout, now), hosts };
}

function whyWhole(state: FleetState, rollout: RolloutState, now: Millis): readonly Why[] {
  return rollout.row.blockers.flatMap((key) => {
    const said = explainRolloutBlocker(state, rollout, key);
    const since = rollout.row.blockersSince?.[key] ?? null;
    return said === null ? [] : [withStandings(state, rollout, { key, since, now }, said)];
  });
}

interface Held {
  since: Time | null;
  count: number;
  /** By name, the first of them. */
  readonly first: string[];
}

/** By key: whom it holds, and since when the longest of them. */
function groupsOf(
  state: FleetState,
  rollout: RolloutState,
  now: Millis,
): ReadonlyMap<string, Held> {
  const groups = new Map<string, Held>();
  for (const [reasons, { count, first }] of heldAlike(state, rollout, now)) {
    for (const { key, since } of reasons) {
      const group = groups.get(key) ?? { since, count: 0, first: [] };
      groups.set(key, group);
      group.count += count;
      for (const hostname of first) noteFirst(group.first, hostname);
      if (group.since === null || (since !== null && since < group.since)) group.since = since;
    }
  }
  return groups;
}

/** By what holds them, which those that are held alike share. */
function heldAlike(state: FleetState, rollout: RolloutState, now: Millis) {
  const found = new Map<readonly Reason[], Pick<Held, 'count' | 'first'>>();
  const reasonsOf = reasonsIn(state, rollout, now);
  visitInQuestion(rollout, (record, noted) => {
    const reasons = reasonsOf(record, noted);
    let alike = found.get(reasons);
    if (alike === undefined) found.set(reasons, (alike = { count: 0, first: [] }));
    alike.count += 1;
    noteFirst(alike.first, record.hostname);
  });
  return found;
}

/** Sentences that are told of a group, before it says how many more there are. */
const TOLD = 5;

/** One key may hold each host for a reason of its own: two holds, two silences. Then each is told, by its hosts. */
function whyMany(
  state: FleetState,
  rollout: RolloutState,
  { count, first: held }: Pick<Held, 'count' | 'first'>,
  noted: Noted,
): Why | null {
  // A wave of thousands is looked through for each: once, where the answer is the same.
  const asked = held.slice(0, isShared(noted.key, rollout) ? 1 : held.length);
  const each = asked.flatMap((hostname) => {
    const record = rollout.records.get(hostname);
    const why = record === undefined ? null : whyKey(state, rollout, record, noted);
    return why === null ? [] : [{ hostname, why }];
  });
  const [first] = each;
  if (first === undefined || each.length === 1) return first?.why ?? null;
  const all = [...new Set(each.flatMap(({ why }) => why.hosts))];
  // Each is behind its own reason: as many as are held, asked or not.
  const total = all.length === each.length ? count : all.length;
  const because = toldOfEach(each, count);
  const releasedBy = [...new Set(each.map(({ why }) => why.releasedBy))].join('; or, of others, ');
  const hosts = all.sort().slice(0, EXPLAIN_HOSTS);
  const said = { because, releasedBy, hosts, total };
  return withStandings(state, rollout, noted, said);
}

/** By sentence, with whose it is. Of those that were not looked at nothing is said: theirs may be another. */
function toldOfEach(
  each: readonly { readonly hostname: string; readonly why: Why }[],
  total: number,
): string {
  const whose = new Map<string, string[]>();
  for (const { hostname, why } of each) {
    const names = whose.get(why.because);
    if (names === undefined) whose.set(why.because, [hostname]);
    else names.push(hostname);
  }
  const isWhole = each.length === total;
  const [only = ''] = whose.keys();
  if (whose.size === 1 && isWhole) return only;
  const told = [...whose].slice(0, TOLD);
  const more = told.reduce((left, [, names]) => left - names.length, total);
  const sentences = told.map(([because, names]) => `${whoseOf(names, isWhole)}: ${because}`);
  return [...sentences, ...(more > 0 ? [`and ${String(more)} more`] : [])].join('; ');
}

function whoseOf([first = '', ...others]: readonly string[], isWhole: boolean): string {
  if (others.length === 0) return first;
  const looked = isWhole ? '' : ' that were looked at';
  return `${first} and ${String(others.length)} other${others.length === 1 ? '' : 's'}${looked}`;
}
