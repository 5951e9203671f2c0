/**
 * Judges hosts one after the other, in a fixed order: an unchanged host converges at once, a host that no
 * gate holds is dispatched, and for all others the gates that hold them are noted, grouped, when they
 * changed. A grant counts at once for the hosts after it.
 */
import { abandonWaiting } from '../close-record.ts';
import { addMinutes } from '../time.ts';
import type { Pass } from '../pass.ts';
import { hasEnded } from '../rollout/states.ts';
import type { Sliced } from '../slices.ts';
import { isKeeping } from '../state/blocker-since.ts';
import { markHost } from '../state/dirty.ts';
import type { HostState, RolloutState } from '../state/state.ts';
import type { RecordRow } from '../state/rows.ts';
import { isWaiting } from '../state/tally.ts';
import { gatesHolding } from './gates.ts';
import { remarksOn } from './remarks.ts';

interface Group {
  readonly rollout: RolloutState;
  readonly gates: readonly string[];
  readonly hosts: string[];
  /** Some of these hosts are held by one of these gates already. */
  keep: boolean;
}

/** Blocker changes of one pass, grouped so that one row speaks for many hosts. */
export class BlockerChanges {
  private readonly groups = new Map<string, Group>();
  private last: Group | null = null;

  get isEmpty(): boolean {
    return this.last === null;
  }

  add(rollout: RolloutState, hostname: string, gates: readonly string[]): void {
    const group = this.groupOf(rollout, gates);
    group.hosts.push(hostname);
    group.keep ||= isKeeping(rollout.blockers.get(hostname), gates);
    this.last = group;
  }

  private groupOf(rollout: RolloutState, gates: readonly string[]): Group {
    // The next host of a wave is most often held by what held the one before.
    if (this.last?.rollout === rollout && isEqual(this.last.gates, gates)) return this.last;
    const key = `${rollout.row.rolloutId}\u0000${gates.join('\u0000')}`;
    const group = this.groups.get(key) ?? { rollout, gates, hosts: [], keep: false };
    this.groups.set(key, group);
    return group;
  }

  *emit(pass: Pass): Sliced {
    for (const { rollout, gates, hosts, keep } of this.groups.values()) {
      const { rolloutId, channel } = rollout.row;
      const since = gates.length === 0 ? null : pass.at;
      yield* pass.emitMany({
        kind: 'gate_decision',
        hostname: hosts.length === 1 ? (hosts[0] ?? null) : null,
        rolloutId,
        channel,
        payload: { scope: 'host', gates, hosts },
        changes: [{ t: 'blocker', rolloutId, hosts, gates, since, ...(keep ? { keep } : {}) }],
      });
    }
  }
}

/** Judges one host of one rollout. */
export function judge(
  pass: Pass,
  rollout: RolloutState,
  hostname: string,
  changes: BlockerChanges,
): void {
  const record = rollout.records.get(hostname);
  if (record === undefined) return;
  const host = pass.state.hosts.get(hostname);
  const waiting = isWaiting(record) && !rollout.dispatches.has(hostname);
  if (waiting && host !== undefined && isUnchanged(pass, rollout, record, host)) {
    convergeUnchanged(pass, rollout, record);
    return;
  }
  const holding = () => gatesHolding({ state: pass.state, rollout, record, host, now: pass.now });
  let keys = waiting ? holding() : remarksOn(pass, rollout, record);
  if (waiting && keys.length === 0 && askNewer(pass, rollout, host)) {
    if (rollout.records.get(hostname)?.closed !== null) return;
    keys = holding();
  }
  if (waiting && keys.length === 0) queueDispatch(pass, rollout, record);
  else if (!isNoted(rollout, hostname, keys)) changes.add(rollout, hostname, keys);
}

/**
 * Of two rollouts that would have a host the newer has it, whatever their channels are called: before an older one grants,
 * those are judged in which the host runs the target already, or may have its dispatch. What holds it there is noted in
 * their own turn. False: there is none.
 */
function askNewer(pass: Pass, { row }: RolloutState, host: HostState | undefined): boolean {
  if (host === undefined || host.open.length < 2) return false;
  const newer = host.open
    .flatMap((id) => pass.state.rollouts.get(id) ?? [])
    .filter((other) => other.row.ordinal > row.ordinal)
    .sort((a, b) => b.row.ordinal - a.row.ordinal);
  for (const other of newer) {
    judge(pass, other, host.row.hostname, new BlockerChanges());
    markHost(pass.state.dirty, other.row.rolloutId, host.row.hostname);
  }
  return newer.length > 0;
}

function isNoted(rollout: RolloutState, hostname: string, keys: readonly string[]): boolean {
  return isEqual(rollout.blockers.get(hostname)?.gates ?? [], keys);
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}

/** It already runs the target, was never offered it, and nothing else of it is under way. */
export function isUnchanged(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  host: HostState,
): boolean {
  const { row } = host;
  if (row.settledClosure !== record.targetClosure || row.reportedClosure !== record.targetClosure) {
    return false;
  }
  if (row.reachability !== 'reachable' || record.wasOffered || hasEnded(rollout.row.state))
    return false;
  for (const id of host.open) {
    if (id !== record.rolloutId && isUnderWay(pass, id, record.hostname)) return false;
  }
  return true;
}

function isUnderWay(pass: Pass, rolloutId: string, hostname: string): boolean {
  const other = pass.state.rollouts.get(rolloutId);
  const record = other?.records.get(hostname);
  if (other === undefined || record === undefined) return false;
  // What was taken back after an offer may be on its way there all the same.
  return record.state !== 'Pending' || record.wasOffered || other.dispatches.has(hostname);
}

function convergeUnchanged(pass: Pass, rollout: RolloutState, record: RecordRow): void {
  const { rolloutId, hostname, channel, targetClosure } = record;
  pass.emit({
    kind: 'transition',
    hostname,
    rolloutId,
    channel,
    payload: { from: 'Pending', to: 'Converged', unchanged: true },
    changes: [
      {
        t: 'record',
        rolloutId,
        hostname,
        set: {
          state: 'Converged',
          unchanged: true,
          convergedAt: pass.at,
          currentClosure: targetClosure,
        },
      },
      ...unblock(rollout, hostname),
    ],
  });
  abandonWaiting(pass, rollout, hostname);
}

function queueDispatch(pass: Pass, rollout: RolloutState, record: RecordRow): void {
  const { rolloutId, hostname, channel, targetClosure, wave } = record;
  const soakDueAt = addMinutes(pass.at, rollout.row.plan.soakMinutes[wave] ?? 0);
  pass.emit({
    kind: 'plan_action',
    hostname,
    rolloutId,
    channel,
    payload: { action: 'QueueDispatch', targetClosure, soakDueAt, wave },
    changes: [
      {
        t: 'dispatch',
        rolloutId,
        hostname,
        set: { targetClosure, soakDueAt, enqueuedAt: pass.at, suspended: false },
      },
      { t: 'record', rolloutId, hostname, set: { dispatchedAt: pass.at, soakDueAt } },
      ...unblock(rollout, hostname),
    ],
  });
}

function unblock(rollout: RolloutState, hostname: string) {
  if (!rollout.blockers.has(hostname)) return [];
  const { rolloutId } = rollout.row;
  return [{ t: 'blocker' as const, rolloutId, hosts: [hostname], gates: [], since: null }];
}
