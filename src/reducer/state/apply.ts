/**
 * Applies the changes of log rows. The leader after deciding, a replay without deciding: the same function.
 */
import { pendingRecord } from '../host/record.ts';
import { patchRecord } from '../host/step.ts';
import { finish, parts, type Sliced } from '../slices.ts';
import type { LogEntry } from '../log.ts';
import { earlierTimes } from './blocker-since.ts';
import type { Change, PlannedHost, RecordSet } from './change.ts';
import {
  freshHost,
  putBlocker,
  putChannel,
  putDispatch,
  putEnrolment,
  putFleet,
  putHost,
  putProbeFailure,
  putQuarantine,
  putRecord,
  putRollout,
  putToken,
  pruneRollout,
} from './put.ts';
import type {
  ChannelRow,
  DispatchRow,
  EnrolmentRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
} from './rows.ts';
import { quarantineKey, type FleetState } from './state.ts';

/** Folds one log row into the state, without deciding anything. */
export function foldEntry(state: FleetState, entry: Pick<LogEntry, 'seq' | 'changes'>): void {
  for (const change of entry.changes) applyChange(state, change, entry.seq);
  state.headSeq = entry.seq;
}

/** `applyChange`, giving way now and then where the change speaks of many hosts. */
export function* applyInParts(state: FleetState, change: Change, seq: number): Sliced {
  switch (change.t) {
    case 'records':
      for (const hosts of parts(change.hosts)) {
        applyChange(state, { ...change, hosts }, seq);
        yield;
      }
      return;
    case 'blocker':
      for (const hosts of parts(change.hosts)) {
        applyChange(state, { ...change, hosts }, seq);
        yield;
      }
      return;
    case 'prune':
      yield* pruneRollout(state, change.rolloutId);
      return;
    default:
      applyChange(state, change, seq);
  }
}

export function applyChange(state: FleetState, change: Change, seq: number): void {
  switch (change.t) {
    case 'fleet':
      putFleet(state, { ...state.fleet, ...change.set, seq });
      return;
    case 'channel':
      applyChannel(state, change, seq);
      return;
    case 'rollout':
      applyRollout(state, change, seq);
      return;
    case 'records':
      for (const host of change.hosts) openRecord(state, change, host, seq);
      return;
    case 'record':
      applyRecord(state, change, seq);
      return;
    case 'host': {
      const before = state.hosts.get(change.hostname)?.row ?? freshHost(change.hostname);
      putHost(state, change.hostname, { ...before, ...change.set, seq });
      return;
    }
    case 'dispatch':
      applyDispatch(state, change, seq);
      return;
    case 'quarantine':
      applyQuarantine(state, change, seq);
      return;
    case 'probeFailure': {
      const { rolloutId, hostname, probeName, controlId, set } = change;
      const row =
        set === null ? null : { rolloutId, hostname, probeName, controlId, since: set.since, seq };
      putProbeFailure(state, change, row);
      return;
    }
    case 'blocker':
      applyBlocker(state, change, seq);
      return;
    case 'token': {
      const { tokenId, set } = change;
      putToken(state, tokenId, set === null ? null : { ...set, tokenId, seq });
      return;
    }
    case 'enrolment':
      applyEnrolment(state, change, seq);
      return;
    case 'prune':
      finish(pruneRollout(state, change.rolloutId));
  }
}

type Of<T extends Change['t']> = Extract<Change, { t: T }>;

function applyChannel(state: FleetState, change: Of<'channel'>, seq: number): void {
  const before: ChannelRow = state.channels.get(change.channel) ?? {
    seq,
    channel: change.channel,
    declaredRef: null,
    manifestHash: null,
    signedAt: null,
    freshnessWindow: 0,
    undeclaredAt: null,
    currentRolloutId: null,
    waitingRef: null,
    pause: null,
    note: null,
  };
  putChannel(state, change.channel, { ...before, ...change.set, seq });
}

function applyRollout(state: FleetState, change: Of<'rollout'>, seq: number): void {
  const before = state.rollouts.get(change.rolloutId)?.row;
  const row = before === undefined ? wholeRollout(change, seq) : { ...before, ...change.set, seq };
  putRollout(state, change.rolloutId, row);
}

/** A rollout is opened with its identity and plan; the rest starts empty. */
function wholeRollout(change: Of<'rollout'>, seq: number): RolloutRow {
  const { channel, channelRef, displayName, manifestHash, signedAt, ordinal, openedAt, plan } =
    change.set;
  if (
    channel === undefined ||
    channelRef === undefined ||
    displayName === undefined ||
    manifestHash === undefined ||
    signedAt === undefined ||
    ordinal === undefined ||
    openedAt === undefined ||
    plan === undefined
  ) {
    throw new Error(`the row that opens ${change.rolloutId} must carry its whole plan`);
  }
  return {
    rolloutId: change.rolloutId,
    channel,
    channelRef,
    displayName,
    manifestHash,
    signedAt,
    ordinal,
    openedAt,
    plan,
    state: 'Opening',
    currentWave: 0,
    supersededAt: null,
    supersededBy: null,
    terminalAt: null,
    failedAt: null,
    endedAt: null,
    exceptions: null,
    blockers: [],
    blockersSince: null,
    ...change.set,
    seq,
  };
}

/** Copied whole: 0.2 µs a record more than naming every field here again, and no second list to keep. */
const PENDING: RecordRow = {
  ...pendingRecord({ rolloutId: '', hostname: '', channel: '', wave: 0, targetClosure: '' }),
  seq: 0,
  highestRefusedSeq: 0,
  lastRefusal: null,
  lastAcceptedAt: null,
  completedAppliedAt: null,
  contradictedBy: null,
  unchanged: false,
  cleared: false,
  wasOffered: false,
  targetSightings: 0,
  synthesisedAt: null,
  stuck: false,
  rollbackFailed: false,
  policyAtDispatch: null,
};

/** A record and the control plane's own fields of it, before anything happened. */
export function freshRecord(
  rolloutId: string,
  channel: string,
  [hostname, wave, targetClosure]: PlannedHost,
  seq: number,
): RecordRow {
  return { ...PENDING, rolloutId, hostname, channel, wave, targetClosure, seq };
}

function openRecord(
  state: FleetState,
  change: Of<'records'>,
  host: PlannedHost,
  seq: number,
): void {
  putRecord(
    state,
    change.rolloutId,
    host[0],
    freshRecord(change.rolloutId, change.channel, host, seq),
  );
}

function applyRecord(state: FleetState, change: Of<'record'>, seq: number): void {
  const before = state.rollouts.get(change.rolloutId)?.records.get(change.hostname);
  if (before === undefined)
    throw new Error(`no record of ${change.hostname} in ${change.rolloutId}`);
  putRecord(state, change.rolloutId, change.hostname, { ...patchRow(before, change.set), seq });
}

function patchRow(before: RecordRow, set: RecordSet): RecordRow {
  return patchRecord(before, set);
}

function applyDispatch(state: FleetState, change: Of<'dispatch'>, seq: number): void {
  const { rolloutId, hostname, set } = change;
  if (set === null) {
    putDispatch(state, rolloutId, hostname, null);
    return;
  }
  const rollout = state.rollouts.get(rolloutId);
  const record = rollout?.records.get(hostname);
  if (rollout === undefined || record === undefined) {
    throw new Error(`no record of ${hostname} in ${rolloutId} to dispatch`);
  }
  const before: DispatchRow = rollout.dispatches.get(hostname) ?? {
    seq,
    rolloutId,
    hostname,
    channel: record.channel,
    targetClosure: record.targetClosure,
    soakDueAt: '',
    enqueuedAt: '',
    suspended: false,
    ordinal: rollout.row.ordinal,
  };
  putDispatch(state, rolloutId, hostname, { ...before, ...set, seq });
}

function applyQuarantine(state: FleetState, change: Of<'quarantine'>, seq: number): void {
  const { channel, closure, set } = change;
  if (set === null) {
    putQuarantine(state, channel, closure, null);
    return;
  }
  const before: QuarantineRow = state.quarantines.get(quarantineKey(channel, closure)) ?? {
    seq,
    channel,
    closure,
    rolloutId: '',
    hostname: '',
    at: '',
  };
  putQuarantine(state, channel, closure, { ...before, ...set, seq });
}

function applyEnrolment(state: FleetState, change: Of<'enrolment'>, seq: number): void {
  const { nonce, set } = change;
  if (set === null) {
    putEnrolment(state, nonce, null);
    return;
  }
  const before: EnrolmentRow = state.enrolments.get(nonce) ?? {
    seq,
    nonce,
    hostname: '',
    csrHash: '',
    keyFingerprint: '',
    serial: '',
    notBefore: '',
    notAfter: '',
    tokenExpiresAt: '',
    nonceExpiresAt: '',
    burntAt: '',
    refusals: 0,
  };
  putEnrolment(state, nonce, { ...before, ...set, seq });
}

function applyBlocker(state: FleetState, change: Of<'blocker'>, seq: number): void {
  const { rolloutId, gates, since } = change;
  const rows = state.rollouts.get(rolloutId)?.blockers;
  const times = earlierTimes(gates);
  for (const hostname of change.hosts) {
    const before = rows?.get(hostname);
    const kept = before === undefined || change.keep !== true ? null : times(before);
    // Code that knows no `keep` writes a row without this column: what is there stays, in table and fold alike.
    const earlier = change.keep === true ? kept : (before?.earlier ?? null);
    const row = since === null ? null : { seq, rolloutId, hostname, gates, since, earlier };
    putBlocker(state, rolloutId, hostname, row);
  }
}
