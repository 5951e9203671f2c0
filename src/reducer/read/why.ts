/**
 * "Why does it not move?", for one host and for a whole rollout. The keys are those that the planner noted
 * and logged; what is behind them is said by the gates' own `explain`. Nothing is judged here.
 */
import { explain } from '../planner/gates.ts';
import { EXPLAIN_HOSTS } from '../planner/gates/gate.ts';
import { sinceOf } from '../state/blocker-since.ts';
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
    blockers:
      noted === undefined
        ? []
        : noted.gates.flatMap(
            (key) => whyKey(state, rollout, record, { key, since: sinceOf(noted, key), now }) ?? [],
          ),
    failures: [...(rollout.failures.get(hostname)?.values() ?? [])],
  };
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
  { because, releasedBy, hosts }: Remark,
): Why {
  return {
    ...{ gate: key.split(':')[0] ?? key, key, since, because, releasedBy, hosts },
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
    held.sort();
    const record = rollout.records.get(held[0] ?? '');
    const why = record === undefined ? null : whyKey(state, rollout, record, { key, since, now });
    return why === null ? [] : [{ why, count: held.length, held: held.slice(0, EXPLAIN_HOSTS) }];
  });
  hosts.sort((a, b) => b.count - a.count || (a.why.key < b.why.key ? -1 : 1));
  const ofRollout = rollout.row.blockers.flatMap((key) => {
    const said = explainRolloutBlocker(state, rollout, key);
    const since = rollout.row.blockersSince?.[key] ?? null;
    return said === null ? [] : [withStandings(state, rollout, key, since, said)];
  });
  return { rollout: ofRollout, hosts };
}

function standingOf(state: FleetState, rollout: RolloutState, hostname: string): Standing {
  const record = rollout.records.get(hostname);
  if (record !== undefined) {
    return { hostname, state: record.state, doing: doingIn(state, rollout, record) };
  }
  // A budget is shared: the host may be moving in another rollout.
  for (const id of state.hosts.get(hostname)?.rollouts ?? []) {
    const other = state.live.get(id);
    const there = other?.records.get(hostname);
    if (other === undefined || there === undefined) continue;
    return { hostname, state: there.state, doing: `${doingIn(state, other, there)} in ${id}` };
  }
  return { hostname, state: null, doing: 'not in this rollout' };
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
