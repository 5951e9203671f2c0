/**
 * One input in, log rows and a verdict out: the host step, then the rollout step, then the plan of whatever
 * the input touched. The state it is given is changed in place and belongs to the caller, who drops it on
 * any doubt; the result depends on nothing but state, input and `now`.
 *
 * A batch is only a commit boundary: inputs are reduced one by one, so any split gives the same log.
 */
import type { Input, ObservationNeeds } from './input.ts';
import type { ReduceResult, Verdict } from './log.ts';
import { Pass } from './pass.ts';
import { onAgentEvent } from './inputs/agent-event.ts';
import { onHostReport } from './inputs/host-report.ts';
import {
  onCertificateRenewed,
  onEnrolmentRefused,
  onEnrolmentRequested,
} from './inputs/enrolment.ts';
import {
  onHostsUnreachable,
  onLeaderStarted,
  onRefusedEvent,
  onRetentionExpired,
  onTick,
  onTrustChanged,
  onVerifyOutcome,
} from './inputs/housekeeping.ts';
import { onManifestSet } from './inputs/manifest-set.ts';
import { onOperatorCommand } from './inputs/operator.ts';
import { isMoveOverdue } from './planner/moving.ts';
import { planNext } from './planner/plan.ts';
import { soakEnd } from './planner/settle.ts';
import { finish, type Sliced } from './slices.ts';
import { isClean } from './state/dirty.ts';
import { isUnderway } from './rollout/step-rollout.ts';
import type { FleetState } from './state/state.ts';
import { millisOf, MINUTE, type Millis } from './time.ts';

export function reduce(state: FleetState, input: Input, now: Millis): ReduceResult {
  return finish(reduceSliced(state, input, now));
}

/**
 * `reduce` for a caller who shares its thread: pauses now and then when the input concerns many hosts. The
 * state is between two rows in a pause, and nobody else's: only the end of the computation makes it whole.
 */
export function* reduceSliced(state: FleetState, input: Input, now: Millis): Sliced<ReduceResult> {
  const observed = input.observed ?? null;
  const asked = observed === null ? null : observationNeeds(state, input, now);
  const pass = new Pass(state, now, observed, asked);
  const outcome = dispatchInput(pass, input);
  const verdict = 'next' in outcome ? yield* outcome : outcome;
  if (!isClean(state.dirty)) yield* planNext(pass);
  return { entries: pass.entries, verdict };
}

/** Inputs that may concern many hosts are judged in slices, all others at once. */
function dispatchInput(pass: Pass, input: Input): Verdict | Sliced<Verdict> {
  switch (input.kind) {
    case 'AgentEvent':
      return onAgentEvent(pass, input);
    case 'RefusedEvent':
      return onRefusedEvent(pass, input);
    case 'HostReport':
      return onHostReport(pass, input);
    case 'ManifestSetUpdated':
      return onManifestSet(pass, input);
    case 'VerifyOutcome':
      return onVerifyOutcome(pass, input);
    case 'TrustChanged':
      return onTrustChanged(pass, input);
    case 'HostsUnreachable':
      return onHostsUnreachable(pass, input);
    case 'Tick':
      return onTick(pass, input);
    case 'RetentionExpired':
      return onRetentionExpired(pass, input);
    case 'LeaderStarted':
      return onLeaderStarted(pass, input);
    case 'OperatorCommand':
      return onOperatorCommand(pass, input);
    case 'EnrolmentRequested':
      return onEnrolmentRequested(pass, input);
    case 'EnrolmentRefused':
      return onEnrolmentRefused(pass, input);
    case 'CertificateRenewed':
      return onCertificateRenewed(pass, input);
  }
}

/**
 * What must be looked up, under lock, before this input is reduced: the offers of every dispatch that it
 * may withdraw, and when hosts were last heard where a grace depends on it. `null`: nothing.
 */
export function observationNeeds(
  state: FleetState,
  input: Input,
  now: Millis,
): ObservationNeeds | null {
  switch (input.kind) {
    case 'AgentEvent': {
      const { kind } = input.event;
      const mayHalt =
        kind === 'Failed' || kind === 'ActivationFailed' || kind === 'RollbackComplete';
      return mayHalt ? needs(channelRollouts(state, input.rolloutId), []) : null;
    }
    case 'HostReport':
      return hasDispatch(state, input.hostname) ? needs([], [input.hostname]) : null;
    case 'HostsUnreachable':
      return needs(
        [],
        input.hosts.map((host) => host.hostname).filter((name) => hasDispatch(state, name)),
      );
    case 'ManifestSetUpdated':
    case 'LeaderStarted':
    case 'TrustChanged':
      return needs(dispatchingRollouts(state), []);
    case 'Tick':
      return tickNeeds(state, now);
    case 'OperatorCommand':
      return operatorNeeds(state, input.command);
    case 'RefusedEvent':
    case 'VerifyOutcome':
    case 'RetentionExpired':
    case 'EnrolmentRequested':
    case 'EnrolmentRefused':
    case 'CertificateRenewed':
      return null;
  }
}

function needs(rollouts: readonly string[], hosts: readonly string[]): ObservationNeeds | null {
  return rollouts.length + hosts.length === 0 ? null : { rollouts, hosts };
}

function dispatchingRollouts(state: FleetState): string[] {
  const found: string[] = [];
  for (const [id, rollout] of state.live) if (rollout.dispatches.size > 0) found.push(id);
  return found;
}

/** A failure halts its rollout and may quarantine a closure on its whole channel. */
function channelRollouts(state: FleetState, rolloutId: string): string[] {
  const channel = state.rollouts.get(rolloutId)?.row.channel;
  return dispatchingRollouts(state).filter((id) => state.rollouts.get(id)?.row.channel === channel);
}

function hasDispatch(state: FleetState, hostname: string): boolean {
  for (const id of state.hosts.get(hostname)?.open ?? []) {
    if (state.rollouts.get(id)?.dispatches.has(hostname) === true) return true;
  }
  return false;
}

/** Dispatches old enough for a grace, and moves past theirs. None is offered, or heard of, before it is queued. */
function tickNeeds(state: FleetState, now: Millis): ObservationNeeds | null {
  const { deliveredGraceMinutes, refusedAfterMinutes } = state.settings;
  const grace = Math.min(deliveredGraceMinutes, refusedAfterMinutes) * MINUTE;
  const hosts = new Set<string>();
  for (const rollout of state.live.values()) {
    for (const [hostname, dispatch] of rollout.dispatches) {
      if (now - millisOf(dispatch.enqueuedAt) >= grace) hosts.add(hostname);
    }
    for (const hostname of rollout.moving) {
      const record = rollout.records.get(hostname);
      if (record !== undefined && isMoveOverdue(rollout, record, state.settings, now))
        hosts.add(hostname);
    }
  }
  return needs([], [...hosts]);
}

function operatorNeeds(
  state: FleetState,
  command: Extract<Input, { kind: 'OperatorCommand' }>['command'],
): ObservationNeeds | null {
  switch (command.command) {
    case 'PauseChannel':
    case 'PauseFleet':
      return needs(dispatchingRollouts(state), []);
    case 'CancelRollout':
      return needs([command.rolloutId], []);
    case 'HoldHost':
    case 'WithdrawDispatch':
    case 'WriteOffHost':
      return needs([], [command.hostname]);
    case 'ResumeChannel':
    case 'ResumeFleet':
    case 'ClearRollout':
    case 'ClearQuarantine':
    case 'ReleaseHost':
    case 'CreateToken':
    case 'RevokeToken':
      return null;
  }
}

/**
 * When a Tick may next move a wave on, ms; null when no soak is running out. `tickedAt` is the `now` of the
 * last Tick: a soak that was over by then needs no other, whatever its wave still waits for.
 */
export function nextDueAt(state: FleetState, tickedAt: Millis): Millis | null {
  let due: Millis | null = null;
  for (const rollout of state.live.values()) {
    if (!isUnderway(rollout.row.state)) continue;
    const end = soakEnd(rollout, rollout.row.currentWave);
    if (end !== null && end > tickedAt && (due === null || end < due)) due = end;
  }
  return due;
}
