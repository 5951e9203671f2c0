/**
 * Operator commands: hold back or let go, never retarget. Each is one row with its actor and reason, from
 * which everything it led to follows. A command that would change nothing is refused with why, so that a
 * script learns of its mistake.
 */
import { closeRecord } from '../close-record.ts';
import type { OperatorCommand, OperatorInput } from '../input.ts';
import type { Verdict } from '../log.ts';
import { isOpen } from '../host/record.ts';
import type { Pass } from '../pass.ts';
import { apply } from '../planner/progress.ts';
import { withdrawal } from '../planner/withdraw.ts';
import { dispatches } from '../rollout/states.ts';
import { isUnderway } from '../rollout/step-rollout.ts';
import type { Change } from '../state/change.ts';
import type { RecordRow, Stop } from '../state/rows.ts';
import { lastChangeOfHost, lastChangeOfRollout } from '../state/last-change.ts';
import { quarantineKey, type FleetState, type RolloutState } from '../state/state.ts';
import { isCounted } from '../state/tally.ts';
import { refused } from './refusals.ts';
import { createToken, revokeToken } from './tokens.ts';

export function onOperatorCommand(pass: Pass, input: OperatorInput): Verdict {
  const { actor, reason, command } = input;
  pass.begin({
    kind: 'operator_command',
    actor,
    ...subjectOf(command),
    payload: { command, reason, ...expectation(input) },
  });
  const verdict =
    unexpected(pass, input) ?? carryOut(pass, command, { actor, reason, at: pass.at });
  if (verdict.status === 'refused') {
    pass.write([], { verdict: 'refused', code: verdict.code, detail: verdict.detail });
  }
  return verdict;
}

/** The refusal of a command whose subject is not what its sender saw; null when it is, or nothing was expected. */
function unexpected(pass: Pass, { command, expectedSeq }: OperatorInput): Verdict | null {
  const seq = seqOf(pass, command);
  if (expectedSeq === null || seq === null) return null;
  if (seq > expectedSeq) {
    return refused(
      'stale-expectation',
      `the subject changed at seq ${String(seq)}, after ${String(expectedSeq)}`,
    );
  }
  // The log begins again below it when a database is restored: what was seen then was another fleet.
  const { headSeq } = pass.state;
  return expectedSeq <= headSeq
    ? null
    : refused(
        'stale-expectation',
        `the log ends at seq ${String(headSeq)}: ${String(expectedSeq)} is not of this log`,
      );
}

function expectation({ expectedSeq }: OperatorInput): { readonly expectedSeq?: number } {
  return expectedSeq === null ? {} : { expectedSeq };
}

const APPLIED: Verdict = { status: 'applied' };

function subjectOf(command: OperatorCommand) {
  switch (command.command) {
    case 'PauseChannel':
    case 'ResumeChannel':
    case 'ClearQuarantine':
      return { channel: command.channel };
    case 'PauseFleet':
    case 'ResumeFleet':
    case 'CreateToken':
    case 'RevokeToken':
      return {};
    case 'CancelRollout':
    case 'ClearRollout':
      return { rolloutId: command.rolloutId };
    case 'HoldHost':
    case 'ReleaseHost':
    case 'WithdrawDispatch':
    case 'WriteOffHost':
      return { hostname: command.hostname };
  }
}

/** The seq that last changed what the command acts on; null when there is no such subject. */
function seqOf({ state }: Pass, command: OperatorCommand): number | null {
  switch (command.command) {
    case 'PauseChannel':
    case 'ResumeChannel':
      return state.channels.get(command.channel)?.seq ?? null;
    case 'PauseFleet':
    case 'ResumeFleet':
      return state.fleet.seq;
    case 'CancelRollout':
      return state.rollouts.get(command.rolloutId)?.row.seq ?? null;
    case 'ClearRollout': {
      const rollout = state.rollouts.get(command.rolloutId);
      return rollout === undefined ? null : lastChangeOfRollout(rollout);
    }
    case 'ClearQuarantine':
      return state.quarantines.get(quarantineKey(command.channel, command.closure))?.seq ?? null;
    case 'HoldHost':
    case 'ReleaseHost':
      return state.hosts.get(command.hostname)?.row.seq ?? null;
    case 'WithdrawDispatch':
    case 'WriteOffHost':
      return lastChangeOfHost(state, command.hostname);
    case 'CreateToken':
    case 'RevokeToken':
      return state.tokens.get(command.tokenId)?.seq ?? null;
  }
}

function carryOut(pass: Pass, command: OperatorCommand, stop: Stop): Verdict {
  switch (command.command) {
    case 'PauseChannel':
      return setChannelPause(pass, command.channel, stop);
    case 'ResumeChannel':
      return setChannelPause(pass, command.channel, null);
    case 'PauseFleet':
      return setFleetPause(pass, stop);
    case 'ResumeFleet':
      return setFleetPause(pass, null);
    case 'CancelRollout':
      return onRollout(pass, command.rolloutId, cancel);
    case 'ClearRollout':
      return onRollout(pass, command.rolloutId, clear);
    case 'ClearQuarantine':
      return clearQuarantine(pass, command.channel, command.closure);
    case 'HoldHost':
      return setHold(pass, command.hostname, stop);
    case 'ReleaseHost':
      return setHold(pass, command.hostname, null);
    case 'WithdrawDispatch':
      return withdrawAll(pass, command.hostname);
    case 'WriteOffHost':
      return writeOff(pass, command.hostname);
    case 'CreateToken':
      return createToken(pass, command, stop.actor);
    case 'RevokeToken':
      return revokeToken(pass, command.tokenId);
  }
}

function setChannelPause(pass: Pass, channel: string, pause: Stop | null): Verdict {
  const row = pass.state.channels.get(channel);
  if (row === undefined) return refused('not-found', `there is no channel ${channel}`);
  if ((row.pause === null) === (pause === null)) {
    return refused(
      'illegal-command',
      `channel ${channel} is ${row.pause === null ? 'not' : 'already'} paused`,
    );
  }
  pass.write([{ t: 'channel', channel, set: { pause } }]);
  return APPLIED;
}

function setFleetPause(pass: Pass, pause: Stop | null): Verdict {
  const before = pass.state.fleet.pause;
  if ((before === null) === (pause === null)) {
    return refused('illegal-command', `the fleet is ${before === null ? 'not' : 'already'} paused`);
  }
  pass.write([{ t: 'fleet', set: { pause } }]);
  return APPLIED;
}

function onRollout(
  pass: Pass,
  rolloutId: string,
  act: (pass: Pass, rollout: RolloutState) => boolean,
): Verdict {
  const rollout = pass.state.rollouts.get(rolloutId);
  if (rollout === undefined) return refused('not-found', `there is no rollout ${rolloutId}`);
  const { state } = rollout.row;
  return act(pass, rollout)
    ? APPLIED
    : refused('illegal-command', `rollout ${rolloutId} is ${state}: the command does not apply`);
}

function cancel(pass: Pass, rollout: RolloutState): boolean {
  return apply(pass, rollout, { kind: 'Cancelled', at: pass.at });
}

/** Sets the counted failures aside, so that the same ones do not halt it again; it retries nobody. */
function clear(pass: Pass, rollout: RolloutState): boolean {
  const { rolloutId, state } = rollout.row;
  if (state !== 'Failed' && state !== 'Reverted') return false;
  const cleared = [...rollout.records.values()].filter(isCounted).map((record) => record.hostname);
  cleared.sort();
  const set = { cleared: true };
  pass.write(
    cleared.map((hostname): Change => ({ t: 'record', rolloutId, hostname, set })),
    { cleared },
  );
  return apply(pass, rollout, { kind: 'OperatorClearance', at: pass.at });
}

function clearQuarantine(pass: Pass, channel: string, closure: string): Verdict {
  if (!pass.state.quarantines.has(quarantineKey(channel, closure))) {
    return refused('not-found', `closure ${closure} is not quarantined on channel ${channel}`);
  }
  pass.write([{ t: 'quarantine', channel, closure, set: null }]);
  return APPLIED;
}

function setHold(pass: Pass, hostname: string, hold: Stop | null): Verdict {
  const row = pass.state.hosts.get(hostname)?.row;
  if (row === undefined) return refused('not-found', `host ${hostname} is unknown`);
  if ((row.hold === null) === (hold === null)) {
    return refused(
      'illegal-command',
      `host ${hostname} is ${row.hold === null ? 'not' : 'already'} on hold`,
    );
  }
  pass.write([{ t: 'host', hostname, set: { hold } }]);
  return APPLIED;
}

function withdrawAll(pass: Pass, hostname: string): Verdict {
  const found = rolloutsOf(pass, hostname).filter((rollout) => rollout.dispatches.has(hostname));
  if (found.length === 0) return refused('not-found', `host ${hostname} has no dispatch in force`);
  for (const rollout of found) pass.emit(withdrawal(pass, rollout, [hostname], 'operator'));
  return APPLIED;
}

function writeOff(pass: Pass, hostname: string): Verdict {
  const found = recordsToWriteOff(pass.state, hostname);
  for (const { rollout, record } of found) closeRecord(pass, rollout, record, 'written-off');
  return found.length > 0
    ? APPLIED
    : refused(
        'not-found',
        `host ${hostname} has no open record, and none that a rollout waits for`,
      );
}

/** By rollout: the order in which they are logged must not follow from how the state was loaded. */
function recordsToWriteOff({ hosts, rollouts }: FleetState, hostname: string) {
  return [...(hosts.get(hostname)?.rollouts ?? [])].sort().flatMap((id) => {
    const rollout = rollouts.get(id);
    const record = rollout?.records.get(hostname);
    if (rollout === undefined || record === undefined) return [];
    return isOpen(record) || isWaitedFor(rollout, record) ? [{ rollout, record }] : [];
  });
}

/**
 * History of the host, and yet nobody but an operator can answer for it: where it went back, or moved on without
 * this release, its wave may be unproven and its edges stay closed; where it converged over a failing control, no
 * later result will tell later waves that the control passes.
 */
function isWaitedFor({ row, failures }: RolloutState, record: RecordRow): boolean {
  const { state, closed, hostname } = record;
  if (closed !== null) return closed === 'abandoned' && isUnderway(row.state);
  const isOutstanding = state === 'Converged' && failures.has(hostname);
  return (state === 'Reverted' || isOutstanding) && dispatches(row.state);
}

/** Those in which its record is open. */
function rolloutsOf({ state }: Pass, hostname: string): RolloutState[] {
  const open = state.hosts.get(hostname)?.open ?? [];
  return open.flatMap((id) => state.rollouts.get(id) ?? []);
}
