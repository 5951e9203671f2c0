/** The rollout's transition table under every event in every state: what is not listed changes nothing. */
import { describe, expect, it } from 'vitest';
import { hasEnded, ROLLOUT_STATES, type RolloutState } from '../../src/reducer/rollout/states.ts';
import {
  stepRollout,
  type RolloutCursor,
  type RolloutEvent,
} from '../../src/reducer/rollout/step-rollout.ts';

const at = '2026-05-16T00:00:00.000Z';
const failing = { kind: 'HostStateChanged', at, failures: 2, reverted: 1, maxFailures: 1 } as const;

const EVENTS: Readonly<Record<string, RolloutEvent>> = {
  HostJoined: { kind: 'HostJoined', at },
  TooManyFailed: failing,
  AllReverted: { ...failing, reverted: 2 },
  FewFailed: { ...failing, failures: 1, reverted: 0 },
  WaveAdvanced: { kind: 'WaveAdvanced', at, fromWave: 1, toWave: 2 },
  WaveFromElsewhere: { kind: 'WaveAdvanced', at, fromWave: 0, toWave: 2 },
  WaveBack: { kind: 'WaveAdvanced', at, fromWave: 1, toWave: 0 },
  LastWaveSoaking: { kind: 'LastWaveSoaking', at },
  AllSettled: { kind: 'AllSettled', at, exceptions: { absent: 1 } },
  SuccessorOpened: { kind: 'SuccessorOpened', at, successor: 'a@2' },
  OperatorClearance: { kind: 'OperatorClearance', at },
  Cancelled: { kind: 'Cancelled', at },
  RetentionExpired: { kind: 'RetentionExpired', at },
};

/** Event by state: the state it leads to; whatever is not here changes nothing. */
const TABLE: Readonly<Record<string, Partial<Record<RolloutState, RolloutState>>>> = {
  HostJoined: { Opening: 'Active' },
  TooManyFailed: { Active: 'Failed', Converging: 'Failed', Terminal: 'Failed' },
  AllReverted: {
    ...{ Active: 'Reverted', Converging: 'Reverted', Terminal: 'Reverted' },
    Failed: 'Reverted',
  },
  // In Opening only empty waves are passed over; the state stays.
  WaveAdvanced: { Opening: 'Opening', Active: 'Active', Converging: 'Active' },
  LastWaveSoaking: { Active: 'Converging' },
  AllSettled: { Opening: 'Terminal', Active: 'Terminal', Converging: 'Terminal' },
  SuccessorOpened: Object.fromEntries(
    ROLLOUT_STATES.filter((s) => s !== 'Superseded' && s !== 'Pruned').map((s) => [
      s,
      'Superseded',
    ]),
  ),
  OperatorClearance: { Failed: 'Active', Reverted: 'Active' },
  Cancelled: {
    ...{ Opening: 'Cancelled', Active: 'Cancelled', Converging: 'Cancelled' },
    ...{ Failed: 'Cancelled', Reverted: 'Cancelled' },
  },
  RetentionExpired: {
    ...{ Terminal: 'Pruned', Reverted: 'Pruned', Failed: 'Pruned' },
    ...{ Superseded: 'Pruned', Cancelled: 'Pruned' },
  },
};

const cursor = (state: RolloutState): RolloutCursor => ({
  ...{ state, currentWave: 1, supersededAt: null, supersededBy: null },
  ...{ terminalAt: null, exceptions: null, failedAt: null, endedAt: null },
});

describe.each(ROLLOUT_STATES)('a rollout that is %s', (state) => {
  it.each(Object.entries(EVENTS))('%s', (name, event) => {
    const before = cursor(state);
    const set = stepRollout(before, event) ?? {};
    const to = TABLE[name]?.[state];
    expect(before).toEqual(cursor(state));
    if (to === undefined) expect(set).toEqual({});
    else expect({ ...before, ...set }.state).toBe(to);
    if (to !== undefined && hasEnded(to)) expect(set.endedAt).toBe(at);
    expect({ ...before, ...set }.currentWave).toBe(
      to !== undefined && name === 'WaveAdvanced' ? 2 : 1,
    );
  });
});

it('a clearance forgets when it failed: it may fail again', () => {
  const failed = { ...cursor('Failed'), failedAt: at };
  expect(stepRollout(failed, { kind: 'OperatorClearance', at })).toEqual({
    ...{ state: 'Active', failedAt: null },
  });
});

it('what fails after all is through no more: when it was, and whom it tolerated, is forgotten', () => {
  const through = { ...cursor('Terminal'), terminalAt: at, exceptions: { absent: 1 } };
  expect(stepRollout(through, failing)).toEqual({
    ...{ state: 'Failed', failedAt: at, terminalAt: null, exceptions: null },
  });
});
