/**
 * The rules of the design, stated a second time and as plainly as possible: by looking at every row. What
 * the core answers from counters and queues must agree with this on every row of every history.
 */
import type { Claimed } from './desk.ts';
import type { LogEntry, ReduceResult } from '../../../src/reducer/log.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import {
  quarantineKey,
  type FleetState,
  type RolloutState,
} from '../../../src/reducer/state/state.ts';
import { MINUTE, millisOf } from '../../../src/reducer/time.ts';

/** What is wrong with this step, in words; empty when nothing is. `before` are the records before it. */
export function broken(
  before: ReadonlyMap<string, RecordRow>,
  state: FleetState,
  step: Claimed & ReduceResult,
): string[] {
  return [
    ...brokenRecords(before, state),
    ...brokenEnds(state),
    ...brokenGrants(state, step.entries),
    ...brokenChannels(state),
    ...brokenRefusal(before, state, step),
    ...brokenSilence(state, step.entries),
  ];
}

/** While no host at all is heard nobody's silence takes anything from it, and nobody goes on without it. */
function brokenSilence({ fleet, rollouts }: FleetState, entries: readonly LogEntry[]): string[] {
  if (fleet.deafSince === null) return [];
  return entries.flatMap(({ seq, rolloutId, payload, changes }) => {
    const wave = rollouts.get(rolloutId ?? '')?.waves[Number(payload['fromWave'])];
    const isTaken =
      (payload['reason'] === 'silent' || payload['reason'] === 'unreachable') &&
      changes.some((change) => change.t === 'record' && change.set.wasOffered === true);
    const isLeft = payload['event'] === 'WaveAdvanced' && (wave?.counts.pendingAbsent ?? 0) > 0;
    const { exceptions } = payload;
    const isOver = typeof exceptions === 'object' && exceptions !== null && 'absent' in exceptions;
    const isStuck = payload['action'] === 'StuckMove';
    return isTaken || isLeft || isOver || isStuck
      ? [`${String(seq)} believes a silence while nobody is heard`]
      : [];
  });
}

export function recordsOf(state: FleetState): Map<string, RecordRow> {
  const all = [...state.rollouts.values()].flatMap((rollout) => [...rollout.records.values()]);
  return new Map(all.map((record) => [`${record.rolloutId} ${record.hostname}`, record]));
}

function brokenRecords(before: ReadonlyMap<string, RecordRow>, state: FleetState): string[] {
  const found: string[] = [];
  for (const [key, record] of recordsOf(state)) {
    const { state: stands, currentClosure, targetClosure, revertedTo } = record;
    if (stands === 'Converged' && currentClosure !== targetClosure)
      found.push(`${key} runs another`);
    if (stands === 'Converged' && Object.values(record.probes).some(fails)) {
      found.push(`${key} converged over a failing probe`);
    }
    if (stands === 'Reverted' && currentClosure !== revertedTo) found.push(`${key} is not back`);
    if (record.lastEventSeq < (before.get(key)?.lastEventSeq ?? 0))
      found.push(`${key} forgot a seq`);
  }
  return found;
}

/** A host that returns to a rollout that is through is dispatched: no promotion comes any more. */
function brokenEnds({ rollouts }: FleetState): string[] {
  return [...rollouts.values()].flatMap(({ row, records }) =>
    [...records.values()]
      .filter(({ state, closed }) => state === 'Pending' && closed === null)
      .filter(({ wave }) => row.state === 'Terminal' && wave > row.currentWave)
      .map(
        ({ hostname }) => `${hostname} waits in ${row.rolloutId} for a promotion that never comes`,
      ),
  );
}

/** A channel that is declared no more offers nothing, whenever it was granted. */
function brokenChannels({ content, rollouts }: FleetState): string[] {
  return [...rollouts.values()].flatMap(({ row, dispatches }) =>
    content?.channels.has(row.channel) === false
      ? [...dispatches.values()]
          .filter(({ suspended }) => !suspended)
          .map(({ hostname }) => `${hostname} is offered ${row.rolloutId}, whose channel is gone`)
      : [],
  );
}

function fails({ mode, status }: { readonly mode: string; readonly status: string }): boolean {
  return mode === 'enforce' && status !== 'pass';
}

/** Grants are checked against the state after the whole step: nothing in a step frees a slot after a grant. */
function brokenGrants(state: FleetState, entries: readonly LogEntry[]): string[] {
  const found: string[] = [];
  const grants = entries.filter(({ payload }) => payload['action'] === 'QueueDispatch');
  const later = new Set(
    grants.map(({ rolloutId, hostname }) => `${rolloutId ?? ''} ${hostname ?? ''}`),
  );
  for (const { rolloutId, hostname } of grants) {
    if (rolloutId === null || hostname === null) continue;
    later.delete(`${rolloutId} ${hostname}`);
    const rollout = state.rollouts.get(rolloutId);
    const record = rollout?.records.get(hostname);
    if (rollout === undefined || record === undefined) {
      found.push(`${hostname} was granted out of nowhere`);
      continue;
    }
    if (state.quarantines.has(quarantineKey(record.channel, record.targetClosure))) {
      found.push(`${hostname} was granted a quarantined closure`);
    }
    if (record.wave > rollout.row.currentWave)
      found.push(`${hostname} was granted before its wave`);
    if (state.hosts.get(hostname)?.row.hold) found.push(`${hostname} was granted on hold`);
    if (state.fleet.pause ?? state.channels.get(record.channel)?.pause) {
      found.push(`${hostname} was granted in a pause`);
    }
    const newer = takenInNewer(state, rollout, hostname);
    if (newer !== undefined)
      found.push(`${hostname} was granted in ${rolloutId} and left it for ${newer}`);
    found.push(...exceeded(state, rollout, hostname, later));
  }
  return found;
}

/** A newer rollout that has moved this host, or found it through: no older one moves it back. */
function takenInNewer(
  { hosts, rollouts }: FleetState,
  { row }: RolloutState,
  hostname: string,
): string | undefined {
  return [...(hosts.get(hostname)?.rollouts ?? [])].find((id) => {
    const other = rollouts.get(id);
    const record = other?.records.get(hostname);
    if (other === undefined || record === undefined || other.row.ordinal <= row.ordinal)
      return false;
    return record.state !== 'Pending' && record.closed === null;
  });
}

/** `later` are grants that came after this one: they count for themselves, under their own limits. */
function exceeded(
  state: FleetState,
  rollout: RolloutState,
  hostname: string,
  later: ReadonlySet<string>,
): string[] {
  return rollout.row.plan.budgets.flatMap((budget) => {
    if (!budget.hosts.includes(hostname)) return [];
    const share = budget.maxInFlightPct ?? Infinity;
    const part =
      share === Infinity ? share : Math.max(1, Math.floor((budget.hosts.length * share) / 100));
    const limit = Math.min(budget.maxInFlight ?? Infinity, part);
    const flying = inFlight(state, budget.key, later);
    return flying.size > limit ? [`${hostname} was granted over ${budget.key}`] : [];
  });
}

function inFlight(state: FleetState, key: string, later: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  for (const rollout of state.rollouts.values()) {
    const hosts = rollout.row.plan.budgets.filter((b) => b.key === key).flatMap((b) => b.hosts);
    for (const hostname of hosts) {
      const record = rollout.records.get(hostname);
      if (record === undefined || record.closed !== null) continue;
      const isLater = later.has(`${record.rolloutId} ${hostname}`);
      const granted = record.state === 'Pending' && rollout.dispatches.has(hostname) && !isLater;
      if (granted || isMoving(record)) found.add(hostname);
    }
  }
  return found;
}

function isMoving(record: RecordRow): boolean {
  if (record.stuck) return false;
  if (record.state === 'Activating' || record.state === 'Soaking') return true;
  const rollsBack = record.policyApplied === 'rollback-and-halt' && !record.rollbackFailed;
  return record.state === 'Failed' && rollsBack;
}

/** What only bookkeeping of refusals may change. */
function fieldsOf(record: RecordRow | undefined) {
  return record && { ...record, seq: 0, lastRefusal: null, highestRefusedSeq: 0 };
}

function brokenRefusal(
  before: ReadonlyMap<string, RecordRow>,
  state: FleetState,
  { input, verdict }: Claimed & ReduceResult,
): string[] {
  if (input.kind !== 'AgentEvent' || verdict.status === 'applied') return [];
  const key = `${input.rolloutId} ${input.hostname}`;
  const was = JSON.stringify(fieldsOf(before.get(key)));
  const is = JSON.stringify(fieldsOf(recordsOf(state).get(key)));
  return was === is ? [] : [`${key} was changed by a refusal: ${was} became ${is}`];
}

/** Whether a wave may be left, found by asking every host in it. */
export function isWaveDone(
  state: FleetState,
  rollout: RolloutState,
  wave: number,
  now: number,
): boolean {
  const records = [...rollout.records.values()].filter((record) => record.wave === wave);
  const soak = (rollout.row.plan.soakMinutes[wave] ?? 0) * MINUTE;
  const isThrough = (record: RecordRow) => {
    if (record.closed !== null || record.state === 'Deferred') return true;
    if (record.state === 'Failed' || record.state === 'Reverted') return true;
    if (record.state === 'Pending') return isAbsent(state, rollout, record, now);
    const applied = record.completedAppliedAt;
    return record.state === 'Converged' && (applied === null || now >= millisOf(applied) + soak);
  };
  const isProof = (r: RecordRow) =>
    r.closed === 'written-off' || r.cleared || r.state === 'Converged' || r.state === 'Deferred';
  const isAnyoneAbsent = records.some((r) => r.state === 'Pending' && r.closed === null);
  if (isAnyoneAbsent && !isSilenceTelling(state, records, now)) return false;
  return records.every(isThrough) && (records.length === 0 || records.some(isProof));
}

/** Of the wave and of the fleet at least half is heard, and somebody listened long enough to know it. */
function isSilenceTelling(state: FleetState, wave: readonly RecordRow[], now: number): boolean {
  const { deafSince, listeningSince } = state.fleet;
  const isHeard = (hostname: string) => state.hosts.get(hostname)?.row.reachability === 'reachable';
  const isHalfHeard = (hosts: readonly string[]) =>
    hosts.filter(isHeard).length * 2 >= hosts.length;
  const fleet = [...(state.content?.hosts ?? [])].flatMap(([hostname, { closureHash }]) =>
    closureHash === null ? [] : [hostname],
  );
  const hasListened = listeningSince === null || now - millisOf(listeningSince) >= 5 * MINUTE;
  return (
    deafSince === null &&
    hasListened &&
    isHalfHeard(wave.map(({ hostname }) => hostname)) &&
    isHalfHeard(fleet)
  );
}

function isAbsent(state: FleetState, rollout: RolloutState, { hostname }: RecordRow, now: number) {
  const row = state.hosts.get(hostname)?.row;
  if (row?.reachability === 'reachable') return false;
  return now - millisOf(row?.reachabilityAt ?? rollout.row.openedAt) > 15 * MINUTE;
}
