/**
 * An agent's event: judged against the mirror of its record by the same `step` the agent ran, then the
 * consequences that only the control plane knows of. A refusal changes nothing but what was refused.
 */
import type { HostEvent } from '../host/events.ts';
import { abandonOlder } from '../close-record.ts';
import { isSynthesisedSoaking, step, type Stepped, type StepEffect } from '../host/step.ts';
import type { AgentEventInput } from '../input.ts';
import type { RefusalCode, Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import type { Change, RecordSet } from '../state/change.ts';
import type { RecordRow } from '../state/rows.ts';
import { quarantineKey, type RolloutState } from '../state/state.ts';
import { addMinutes, millisOf, UNDER_WAY_MS, type Time } from '../time.ts';
import { healthPolicy, policyAtDispatch } from './health-policy.ts';
import { probeFailureChanges } from './probe-failures.ts';
import { isNews, noteRefusal, refuseWhole } from './refusals.ts';

export function onAgentEvent(pass: Pass, input: AgentEventInput): Verdict {
  const { hostname, rolloutId, event } = input;
  const rollout = pass.state.rollouts.get(rolloutId);
  const record = rollout?.records.get(hostname);
  const channel = rollout?.row.channel ?? null;
  pass.begin({
    kind: 'agent_event',
    hostname,
    rolloutId,
    channel,
    actor: hostname,
    payload: { event },
  });
  if (rollout === undefined || record === undefined) {
    const detail = `${hostname} has no record in ${rolloutId}`;
    return refuseWhole(pass, 'unknown-rollout-host', detail);
  }
  if (event.seq <= record.lastEventSeq)
    return { status: 'duplicate', lastEventSeq: record.lastEventSeq };
  const contradiction = contradicted(record, event);
  if (contradiction !== null)
    return refuse(pass, record, event, 'invariant-violated', contradiction);
  const policy = { onHealthFailure: healthPolicy(rollout, record) };
  const stepped = step(record, event, policy, 'remote');
  if (!stepped.ok) return refuse(pass, record, event, stepped.code, stepped.detail);
  accept(pass, rollout, record, event, stepped);
  return { status: 'applied' };
}

/** A heartbeat applied after the completion reported another closure: the host does not run what it claims. */
function contradicted(record: RecordRow, event: HostEvent): string | null {
  const { state, closed, contradictedBy, targetClosure } = record;
  // What is closed is history, whatever its host reports.
  if (event.kind !== 'Converged' || state !== 'Soaking' || closed !== null) return null;
  if (contradictedBy === null) return null;
  return `its last heartbeat reported ${contradictedBy}, not the target ${targetClosure}`;
}

/** A closure that had to be rolled back is bad news, even from a record that is closed. */
function isLateRollback(record: RecordRow, event: HostEvent): boolean {
  return event.kind === 'RollbackComplete' && record.closed !== null && record.state === 'Failed';
}

function refuse(
  pass: Pass,
  record: RecordRow,
  event: HostEvent,
  code: RefusalCode,
  detail: string,
): Verdict {
  const { state, lastEventSeq } = record;
  const isLate = isLateRollback(record, event);
  // News of its own: refused before its record closed, it quarantined nothing.
  const refused = { seq: event.seq, kind: isLate ? 'LateRollback' : event.kind, code };
  if (isNews(record, refused)) {
    const facts = { verdict: 'refused', code, detail, state };
    pass.write([noteRefusal(record, refused)], facts);
    if (isLate)
      quarantine(pass, record, { channel: record.channel, closure: record.targetClosure });
  }
  return { status: 'refused', code, detail, state, lastEventSeq };
}

function accept(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  event: HostEvent,
  stepped: Stepped,
): void {
  const { rolloutId, hostname, channel } = record;
  const set: RecordSet = { ...stepped.set, ...bookkeeping(pass, rollout, record, event) };
  const changes: Change[] = [
    { t: 'record', rolloutId, hostname, set },
    ...probeFailureChanges(rollout, record, event),
    ...consequences(pass, rollout, record, event, stepped.record.state),
    ...forgetSightings(pass, record),
  ];
  const facts = { verdict: 'applied', ...(stepped.gap > 0 ? { gap: stepped.gap } : {}) };
  if (stepped.record.state === record.state) pass.write(changes, facts);
  else {
    pass.write([], facts);
    pass.emit({
      kind: 'transition',
      hostname,
      rolloutId,
      channel,
      payload: { from: record.state, to: stepped.record.state },
      changes,
    });
  }
  for (const effect of stepped.effects) applyEffect(pass, record, effect);
  abandonOlder(pass, rollout, hostname);
}

const UNSEEN = { targetSightings: 0 };

/** What the control plane alone notes about an accepted event. */
function bookkeeping(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  event: HostEvent,
): RecordSet {
  return {
    lastAcceptedAt: pass.at,
    ...(record.targetSightings > 0 ? UNSEEN : {}),
    ...(record.stuck ? { stuck: false } : {}),
    ...(event.kind === 'ActivationCompleted'
      ? {
          completedAppliedAt: pass.at,
          contradictedBy: null,
          ...soakOfGuess(rollout, record, event),
        }
      : {}),
    ...(event.kind === 'DispatchAck'
      ? {
          policyAtDispatch: policyAtDispatch(pass.state, rollout),
          ...soakOf(record, event.receivedAt),
        }
      : {}),
    ...(event.kind === 'RollbackComplete' ? { rollbackFailed: event.exitCode !== 0 } : {}),
  };
}

/** Two heartbeats prove something only with no event of that host between them, in whatever rollout. */
function forgetSightings(pass: Pass, { rolloutId, hostname }: RecordRow): Change[] {
  const open = pass.state.hosts.get(hostname)?.open ?? [];
  return open.flatMap((id): Change[] => {
    const other = pass.state.rollouts.get(id)?.records.get(hostname);
    if (id === rolloutId || other === undefined || other.targetSightings === 0) return [];
    return [{ t: 'record', rolloutId: id, hostname, set: UNSEEN }];
  });
}

/**
 * An acknowledgement from before our dispatch answers an earlier one (withdrawn since, or lost with a
 * database); one from just after it may, when an earlier one had been offered. The agent keeps the soak of the
 * one it took, which is not known here and so must not hold it.
 */
function soakOf({ dispatchedAt, wasOffered }: RecordRow, receivedAt: Time): RecordSet {
  if (dispatchedAt === null) return {};
  const since = millisOf(receivedAt) - millisOf(dispatchedAt);
  const isOfEarlier = since < 0 || (wasOffered && since < UNDER_WAY_MS);
  return isOfEarlier ? { soakDueAt: null } : {};
}

/**
 * Whoever reports a completion over a guess had its record, and keeps the soak in it. The guess may have given a later one,
 * and what completed before our dispatch was done for an earlier one: neither is known to the agent, and must not hold it.
 */
function soakOfGuess(
  rollout: RolloutState,
  record: RecordRow,
  { completedAt }: Extract<HostEvent, { kind: 'ActivationCompleted' }>,
): RecordSet {
  const { dispatchedAt, synthesisedAt, soakDueAt, wave } = record;
  if (!isSynthesisedSoaking(record) || synthesisedAt === null) return {};
  const minutes = rollout.row.plan.soakMinutes[wave] ?? 0;
  const isOfGuess = soakDueAt === addMinutes(synthesisedAt, minutes);
  const isOfEarlier = dispatchedAt !== null && completedAt < dispatchedAt;
  return isOfGuess || isOfEarlier ? { soakDueAt: null } : {};
}

/** Changes beside the record: the slot is taken over by the move, and what the host has settled on. */
function consequences(
  pass: Pass,
  rollout: RolloutState,
  record: RecordRow,
  event: HostEvent,
  to: RecordRow['state'],
): Change[] {
  const { rolloutId, hostname, targetClosure } = record;
  switch (event.kind) {
    case 'DispatchAck':
      return [
        ...(rollout.dispatches.has(hostname)
          ? [{ t: 'dispatch' as const, rolloutId, hostname, set: null }]
          : []),
        { t: 'host', hostname, set: { settledClosure: null } },
      ];
    case 'Converged':
      return [{ t: 'host', hostname, set: { settledClosure: targetClosure } }];
    case 'RollbackComplete':
      return to === 'Reverted' && wasThrough(pass, record, event.revertedToClosure)
        ? [{ t: 'host', hostname, set: { settledClosure: event.revertedToClosure } }]
        : [];
    default:
      return [];
  }
}

/**
 * Whether the host was through with what it went back to, as far as is known here: not when that is the closure which failed,
 * or its last rollout with that closure ended on the way.
 */
function wasThrough(pass: Pass, { hostname, targetClosure }: RecordRow, closure: string): boolean {
  if (closure === targetClosure) return false;
  const [last] = [...(pass.state.hosts.get(hostname)?.rollouts ?? [])]
    .flatMap((id) => pass.state.rollouts.get(id) ?? [])
    .sort((a, b) => b.row.ordinal - a.row.ordinal)
    .flatMap(({ records }) => records.get(hostname) ?? [])
    .filter((record) => record.targetClosure === closure && wasBegun(record));
  return last === undefined || last.state === 'Converged';
}

function wasBegun({ state, wasOffered }: RecordRow): boolean {
  return state !== 'Pending' || wasOffered;
}

function applyEffect(pass: Pass, record: RecordRow, effect: StepEffect): void {
  switch (effect.kind) {
    case 'Quarantine':
      quarantine(pass, record, effect);
      return;
    case 'PostEvent':
    case 'ResetProbes':
    case 'FireSwitch':
    case 'FireRollback':
      // An agent's to do: the control plane only mirrors.
      return;
  }
}

function quarantine(
  pass: Pass,
  record: RecordRow,
  { channel, closure }: { readonly channel: string; readonly closure: string },
): void {
  if (pass.state.quarantines.has(quarantineKey(channel, closure))) return;
  const { rolloutId, hostname } = record;
  pass.emit({
    kind: 'plan_action',
    hostname,
    rolloutId,
    channel,
    payload: { action: 'Quarantine', closure },
    changes: [
      {
        t: 'quarantine',
        channel,
        closure,
        set: { channel, closure, rolloutId, hostname, at: pass.at },
      },
    ],
  });
}
