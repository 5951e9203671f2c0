/**
 * "Why does it not move?", for one host and for a whole rollout. The keys are those that the planner noted
 * and logged; what is behind them is said by the gates' own `explain`. Nothing is judged here.
 */
import { everyGate, explain, heldAt, isShared } from '../planner/gates.ts';
import { EXPLAIN_HOSTS } from '../planner/gates/gate.ts';
import { sinceOf } from '../state/blocker-since.ts';
import { countsInFlight } from '../state/flight.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { DispatchRow, HostRow, RecordRow, RolloutRow } from '../state/rows.ts';
import type { Millis, Time } from '../time.ts';
import { explainRemark, explainRolloutBlocker, type Remark } from './explain-remark.ts';

/** A host and what it does in a rollout. */
export interface Standing {
  readonly hostname: string;
  /** Null when it has no record there. */
  readonly state: string | null;
  /** A few words: what it is at, since or until when. */
  readonly doing: string;
}

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
  readonly host: HostRow | null;
  /** Newest first. */
  readonly rollouts: readonly HostInRollout[];
}

/** Everything that is known of one host, with every reason for which it does not move now. */
export function whyHost(state: FleetState, hostname: string, now: Millis): HostWhy {
  const entry = state.hosts.get(hostname);
  const found: HostInRollout[] = [];
  for (const id of entry?.rollouts ?? []) {
    const rollout = state.live.get(id);
    const record = rollout?.records.get(hostname);
    if (rollout !== undefined && record !== undefined) {
      found.push(inRollout(state, rollout, record, now));
    }
  }
  found.sort((a, b) => b.rollout.ordinal - a.rollout.ordinal);
  return { host: entry === undefined || entry.row.seq === 0 ? null : entry.row, rollouts: found };
}

function inRollout(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  now: Millis,
): HostInRollout {
  const { hostname } = record;
  const noted = rollout.blockers.get(hostname);
  return {
    rollout: rollout.row,
    record,
    dispatch: rollout.dispatches.get(hostname) ?? null,
    blockers: keysOf(state, record, noted?.gates ?? [], now).flatMap((key) => {
      const since = noted?.gates.includes(key) === true ? sinceOf(noted, key) : null;
      return whyKey(state, rollout, record, { key, since, now }) ?? [];
    }),
    failures: [...(rollout.failures.get(hostname)?.values() ?? [])],
  };
}

/** What was noted, and budgets that have no room for a host that is held: those are noted of no host that waits for more. */
function keysOf(
  state: FleetState,
  record: RecordRow,
  noted: readonly string[],
  now: Millis,
): readonly string[] {
  const held = heldAt(state, record.rolloutId, record.hostname, now);
  const waits = record.state === 'Pending' && record.closed === null && noted.length > 0;
  return held === null || !waits ? noted : everyGate(held, noted);
}

interface Noted {
  readonly key: string;
  readonly since: Time | null;
  readonly now: Millis;
}

function whyKey(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  { key, since, now }: Noted,
): Why | null {
  const said = explain(state, record, key, now) ?? explainRemark(rollout, record, key);
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
  for (const noted of rollout.blockers.values()) {
    const { hostname } = noted;
    for (const key of noted.gates) {
      const since = sinceOf(noted, key);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { since, held: [hostname] });
      else {
        group.held.push(hostname);
        if (since < group.since) group.since = since;
      }
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

/** Where it moves, if it does; else where the question is about; else in its newest rollout. */
function standingOf(state: FleetState, rollout: RolloutState, hostname: string): Standing {
  const others = [...(state.hosts.get(hostname)?.rollouts ?? [])]
    .flatMap((id) => state.live.get(id) ?? [])
    .sort((a, b) => b.row.ordinal - a.row.ordinal);
  const places = [rollout, ...others].filter(({ records }) => records.has(hostname));
  const place = places.find((one) => countsInFlight(one, hostname)) ?? places[0];
  const record = place?.records.get(hostname);
  if (place === undefined || record === undefined)
    return { hostname, state: null, doing: 'not in this rollout' };
  const doing = doingIn(state, place, record);
  const where = place === rollout ? '' : ` in ${place.row.rolloutId}`;
  return { hostname, state: record.state, doing: `${doing}${where}` };
}

function doingIn(state: FleetState, rollout: RolloutState, record: RecordRow): string {
  if (record.closed !== null) return record.closed;
  switch (record.state) {
    case 'Pending':
      return pendingDoing(state, rollout, record);
    case 'Activating':
      return `switching since ${record.activationStartedAt ?? record.dispatchAckedAt ?? 'an unknown time'}`;
    case 'Deferred':
      return 'staged, waits for a reboot';
    case 'Soaking':
      return `soaking until ${record.soakDueAt ?? 'its agent says'}`;
    case 'Failed':
      return `failed at ${record.failedAt ?? 'an unknown time'}${record.rollbackFailed ? ', and so did its rollback' : ''}`;
    case 'Converged':
      return `converged at ${record.convergedAt ?? 'an unknown time'}`;
    case 'Reverted':
      return `back on ${record.revertedTo ?? 'its former closure'} since ${record.revertedAt ?? 'an unknown time'}`;
  }
}

function pendingDoing(state: FleetState, rollout: RolloutState, record: RecordRow): string {
  const { hostname } = record;
  const dispatch = rollout.dispatches.get(hostname);
  if (dispatch !== undefined) {
    const kept = dispatch.suspended ? ', not offered now' : '';
    return `dispatched at ${dispatch.enqueuedAt}, not acknowledged${kept}`;
  }
  const host = state.hosts.get(hostname)?.row;
  if (host?.reachability !== 'reachable') {
    return host?.reachabilityAt == null
      ? 'never heard'
      : `unreachable since ${host.reachabilityAt}`;
  }
  const gates = rollout.blockers.get(hostname)?.gates ?? [];
  return gates.length === 0 ? 'waits for a dispatch' : `held by ${gates.join(', ')}`;
}
