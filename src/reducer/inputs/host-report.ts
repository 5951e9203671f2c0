/**
 * A heartbeat that may change something: reachability, the reported closure, and, only where nothing else
 * can be known, a state set by the control plane itself, marked `synthesised`. Synthesis carries no agent
 * seq, so that the agent's own next events still count, and a real event later wins over it.
 */
import { abandonWaiting, wasOffered } from '../close-record.ts';
import type { HostReportInput } from '../input.ts';
import type { Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import { knownSeq } from '../read/heartbeat.ts';
import { hasEnded } from '../rollout/states.ts';
import type { Change, RecordSet } from '../state/change.ts';
import { freshHost } from '../state/put.ts';
import type { HostRow, RecordRow } from '../state/rows.ts';
import type { RolloutState } from '../state/state.ts';
import { addMinutes, millisOf, UNDER_WAY_MS, type Time } from '../time.ts';
import { policyAtDispatch } from './health-policy.ts';
import { clearedFailures } from './probe-failures.ts';
import { withdrawnRefusal } from './refusals.ts';

/** A host shows its target before its switch has succeeded: one heartbeat proves nothing. */
const SIGHTINGS_NEEDED = 2;

export function onHostReport(pass: Pass, input: HostReportInput): Verdict {
  const { hostname } = input;
  const rows = pass.entries.length;
  pass.begin({
    kind: 'host_report',
    hostname,
    actor: hostname,
    payload: {
      at: input.at,
      closure: input.currentClosure,
      agentVersion: input.agentVersion,
      lastEventSeqByRollout: input.lastEventSeqByRollout,
      ...(input.rolloutId === null ? {} : { rolloutId: input.rolloutId }),
    },
  });
  const row = pass.state.hosts.get(hostname)?.row ?? freshHost(hostname);
  noteHost(pass, row, input);
  for (const rollout of openRollouts(pass, hostname)) noteRecord(pass, rollout, row, input);
  return { status: pass.entries.length > rows ? 'applied' : 'noop' };
}

function openRollouts(pass: Pass, hostname: string): RolloutState[] {
  const found: RolloutState[] = [];
  for (const id of pass.state.hosts.get(hostname)?.open ?? []) {
    const rollout = pass.state.rollouts.get(id);
    if (rollout !== undefined) found.push(rollout);
  }
  return found.sort((a, b) => b.row.ordinal - a.row.ordinal);
}

function noteHost(pass: Pass, row: HostRow, input: HostReportInput): void {
  const reportedClosure = input.currentClosure ?? row.reportedClosure;
  const returned = row.reachability !== 'reachable';
  if (!returned && reportedClosure === row.reportedClosure) return;
  const { hostname } = input;
  if (reportedClosure !== row.reportedClosure) {
    const forgotten = row.reportedClosure === null && statesMore(pass, input);
    const set = forgotten ? { reportedClosure, settledClosure: null } : { reportedClosure };
    pass.write([{ t: 'host', hostname, set }]);
  }
  if (!returned) return;
  pass.emit({
    kind: 'liveness',
    hostname,
    payload: { event: 'HostReachable', before: row.reachability },
    changes: [{ t: 'host', hostname, set: { reachability: 'reachable', reachabilityAt: pass.at } }],
  });
}

/**
 * First heard, or first after another database was put in place, and it has a history that is not here: what is known
 * here to be its last finished move was not the last.
 */
function statesMore(pass: Pass, input: HostReportInput): boolean {
  const { hostname, rolloutId, lastEventSeqByRollout } = input;
  const isMore = (id: string, seq: number): boolean => {
    const rollout = pass.state.rollouts.get(id);
    if (rollout === undefined) return seq > 0;
    const record = rollout.records.get(hostname); // none when it was pruned
    return record !== undefined && seq > knownSeq(record);
  };
  // It names its newest: what it states of older ones was lost with an earlier database, if at all.
  if (rolloutId !== null) return isMore(rolloutId, lastEventSeqByRollout[rolloutId] ?? 1);
  return Object.entries(lastEventSeqByRollout).some(([id, seq]) => isMore(id, seq));
}

function noteRecord(
  pass: Pass,
  rollout: RolloutState,
  host: HostRow,
  input: HostReportInput,
): void {
  const record = rollout.records.get(input.hostname);
  // A guess about a newer one may just have closed it.
  if (record === undefined || record.closed !== null || input.currentClosure === null) return;
  const onTarget = input.currentClosure === record.targetClosure;
  switch (record.state) {
    case 'Deferred':
      if (onTarget) synthesise(pass, rollout, record, input, 'rebooted');
      return;
    case 'Activating':
      sight(pass, rollout, record, input, 'restarted-mid-switch');
      return;
    case 'Pending':
      notePending(pass, rollout, record, host, input);
      return;
    case 'Soaking':
      if (isOfBefore(record, input.at)) return;
      noteContradiction(pass, record, onTarget ? null : input.currentClosure);
      return;
    case 'Converged':
    case 'Failed':
    case 'Reverted':
      return;
  }
}

/**
 * What was said before the switch and came late speaks of the closure before it: both times are the host's.
 * Nothing comes later than it can be under way: then the host's clock went back, and what it says counts.
 */
function isOfBefore({ activationCompletedAt }: RecordRow, at: Time): boolean {
  if (activationCompletedAt === null) return false;
  const early = millisOf(activationCompletedAt) - millisOf(at);
  return early > 0 && early < UNDER_WAY_MS;
}

function notePending(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  host: HostRow,
  input: HostReportInput,
): void {
  if (wasOffered(pass, rollout, record)) {
    if (!mayHaveTaken(record, input) || awaitsReboot(pass, record)) return;
    sight(pass, rollout, record, input, 'acknowledgement-lost');
    return;
  }
  if (hasEnded(rollout.row.state)) return;
  const isRecovered =
    input.currentClosure === record.targetClosure &&
    mayKnow(record, input) &&
    isWithoutHistory(pass, record, host);
  if (!isRecovered) {
    if (record.targetSightings > 0) setRecord(pass, record, { targetSightings: 0 });
    return;
  }
  const stated = input.lastEventSeqByRollout[record.rolloutId] ?? 0;
  const waits = stated > knownSeq(record);
  // The agent has events that we lack: it is asked to replay, and only silence lets us guess.
  if (waits && record.targetSightings === 0) setRecord(pass, record, { targetSightings: 1 });
  else synthesise(pass, rollout, record, input, 'recovered');
}

/**
 * False for an agent that names or remembers other rollouts, and not this one: it runs the target by a release that is
 * forgotten here, or went back to it, and would never say that it converged in this one. It is dispatched, as anybody.
 */
function mayKnow({ rolloutId }: RecordRow, input: HostReportInput): boolean {
  const { rolloutId: named, lastEventSeqByRollout: stated } = input;
  return named === rolloutId || Object.hasOwn(stated, rolloutId) || tellsOfNone(input);
}

/** As a v0.2 agent, and one that has lost its journal. */
function tellsOfNone({ rolloutId, lastEventSeqByRollout }: HostReportInput): boolean {
  return rolloutId === null && Object.keys(lastEventSeqByRollout).length === 0;
}

/**
 * Whose acknowledgement was lost names the rollout that it took, or has counted in it; a v0.2 agent says nothing of rollouts.
 * Who names another never got the offer, or refuses it, and who states 0 died before it made the acknowledgement.
 */
function mayHaveTaken({ rolloutId }: RecordRow, input: HostReportInput): boolean {
  const { rolloutId: named, lastEventSeqByRollout: stated } = input;
  return named === rolloutId || (stated[rolloutId] ?? 0) > 0 || tellsOfNone(input);
}

/**
 * It ran this before, and a switch of an older rollout is staged: that it still runs it proves nothing, and it boots into the
 * other. Only the switch of the newer dispatch unstages that, which is offered until somebody takes it.
 */
function awaitsReboot({ state }: Pass, { hostname, targetClosure }: RecordRow): boolean {
  return (state.hosts.get(hostname)?.open ?? []).some((id) => {
    const other = state.rollouts.get(id)?.records.get(hostname);
    return other?.state === 'Deferred' && other.currentClosureAtDispatch === targetClosure;
  });
}

/** The control plane never saw this host do anything, nor gave it anything to do: it may have lost its database. */
function isWithoutHistory(pass: Pass, record: RecordRow, host: HostRow): boolean {
  if (host.settledClosure !== null) return false;
  for (const id of pass.state.hosts.get(record.hostname)?.rollouts ?? []) {
    const rollout = pass.state.rollouts.get(id);
    const other = rollout?.records.get(record.hostname);
    if (rollout === undefined || other === undefined) continue;
    if (other.lastEventSeq > 0 || other.synthesised !== null) return false;
    if (wasOffered(pass, rollout, other)) return false;
  }
  return true;
}

function sight(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  input: HostReportInput,
  cause: string,
): void {
  const isOnTarget = input.currentClosure === record.targetClosure;
  const sightings = isOnTarget ? record.targetSightings + 1 : 0;
  if (sightings >= SIGHTINGS_NEEDED) synthesise(pass, rollout, record, input, cause);
  else if (sightings !== record.targetSightings)
    setRecord(pass, record, { targetSightings: sightings });
}

function noteContradiction(pass: Pass, record: RecordRow, contradictedBy: string | null): void {
  if (record.contradictedBy === contradictedBy) return;
  const isOver = contradictedBy === null;
  setRecord(pass, record, { contradictedBy, ...(isOver ? withdrawnRefusal(record) : {}) });
}

function setRecord(pass: Pass, record: RecordRow, set: RecordSet): void {
  const { rolloutId, hostname, channel } = record;
  pass.emit({
    kind: 'host_report',
    hostname,
    rolloutId,
    channel,
    payload: { noted: Object.keys(set) },
    changes: [{ t: 'record', rolloutId, hostname, set }],
  });
}

/** Sets Soaking as a completed activation would, and lets the host's own probes finish it. */
function synthesise(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  input: HostReportInput,
  cause: string,
): void {
  const { rolloutId, hostname, channel } = record;
  const set: RecordSet = {
    state: 'Soaking',
    synthesised: cause,
    synthesisedAt: pass.at,
    activationCompletedAt: input.at,
    completedAppliedAt: pass.at,
    currentClosure: record.targetClosure,
    probes: null,
    probeObservedFirstAt: null,
    probeFailureFirstAt: null,
    contradictedBy: null,
    targetSightings: 0,
    stuck: false,
    ...(record.state === 'Pending'
      ? { policyAtDispatch: policyAtDispatch(pass.state, rollout) }
      : {}),
    ...soakOf(pass, rollout, record, input),
  };
  pass.emit({
    kind: 'transition',
    hostname,
    rolloutId,
    channel,
    payload: { from: record.state, to: 'Soaking', synthesised: cause },
    changes: [
      { t: 'record', rolloutId, hostname, set },
      { t: 'host', hostname, set: { settledClosure: null } },
      ...removedDispatch(rollout, hostname),
      ...clearedFailures(rollout, hostname),
    ],
  });
  abandonWaiting(pass, rollout, hostname);
}

/**
 * An agent that knows of no rollout will be given this soak. One that names or states its rollout has a soak of its own
 * and keeps it: ours, where it never came to know it, must not hold it.
 */
function soakOf(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  input: HostReportInput,
): RecordSet {
  const { soakDueAt, state, wave, rolloutId } = record;
  if (input.rolloutId !== null || Object.hasOwn(input.lastEventSeqByRollout, rolloutId)) {
    const isOurs = state === 'Pending' && !wasOffered(pass, rollout, record);
    return isOurs ? { soakDueAt: null } : {};
  }
  if (soakDueAt !== null && soakDueAt > pass.at) return {};
  return { soakDueAt: addMinutes(pass.at, rollout.row.plan.soakMinutes[wave] ?? 0) };
}

function removedDispatch(rollout: RolloutState, hostname: string): Change[] {
  if (!rollout.dispatches.has(hostname)) return [];
  return [{ t: 'dispatch', rolloutId: rollout.row.rolloutId, hostname, set: null }];
}
