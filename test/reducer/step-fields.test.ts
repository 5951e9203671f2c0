/** What each row of the host's table writes beside the state, and when a rollback has somewhere to go. */
import { describe, expect, it } from 'vitest';
import type { HostEvent, ProbeMode } from '../../src/reducer/host/events.ts';
import { pendingRecord, type HostRecord } from '../../src/reducer/host/record.ts';
import { step, type Side } from '../../src/reducer/host/step.ts';

const at = (minute: number) => `2026-11-01T12:${String(minute).padStart(2, '0')}:00.000Z`;
const FRESH: HostRecord = pendingRecord({
  ...{ rolloutId: 'a@1', hostname: 'a1', channel: 'a', wave: 0, targetClosure: 'new' },
});
const ENFORCE: ProbeMode = 'enforce';
const policy = { onHealthFailure: 'rollback-and-halt' } as const;

function stepped(record: HostRecord, event: HostEvent, side: Side = 'remote') {
  const result = step(record, event, policy, side);
  if (!result.ok) throw new Error(result.detail);
  return result;
}

const result = (seq: number, status: 'pass' | 'fail', minute: number): HostEvent => ({
  ...{ kind: 'ProbeResult', seq, probeName: 'tcp', mode: 'enforce', status },
  ...{ observedAt: at(minute), failureReason: 'refused' },
});
const first = (seq: number, kind: 'ProbeObservedFirst' | 'ProbeFailureFirst', minute: number) => {
  const named = { seq, probeName: 'tcp', mode: ENFORCE };
  return kind === 'ProbeObservedFirst'
    ? ({ ...named, kind, observedAt: at(minute) } as const)
    : ({ ...named, kind, firstFailedAt: at(minute) } as const);
};
const soaking: HostRecord = { ...FRESH, state: 'Soaking' };

it('an acknowledgement and a start say what ran and when', () => {
  const acked = stepped(FRESH, {
    ...{ kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'old', receivedAt: at(1) },
  }).record;
  expect(acked).toMatchObject({ currentClosureAtDispatch: 'old', dispatchAckedAt: at(1) });
  const started: HostEvent = {
    ...{ kind: 'ActivationStarted', seq: 2, startedAt: at(2), switchMethod: 'switch' },
  };
  expect(stepped(acked, started).set).toMatchObject({ activationStartedAt: at(2) });
});

it('first stamps are of the first time, and of a new activation not at all', () => {
  let record = soaking;
  for (const event of [
    first(1, 'ProbeObservedFirst', 1),
    first(2, 'ProbeFailureFirst', 2),
    first(3, 'ProbeObservedFirst', 3),
    first(4, 'ProbeFailureFirst', 4),
  ])
    record = stepped(record, event).record;
  expect(record).toMatchObject({ probeObservedFirstAt: at(1), probeFailureFirstAt: at(2) });
  const again = stepped(
    { ...record, state: 'Activating' },
    {
      ...{ kind: 'ActivationCompleted', seq: 5, observedCurrentClosure: 'new', exitCode: 0 },
      completedAt: at(5),
    },
  );
  expect(again.record).toMatchObject({ probeObservedFirstAt: null, probeFailureFirstAt: null });
});

it('a failing probe keeps when it last passed, a passing one no reason', () => {
  const passed = stepped(soaking, result(1, 'pass', 1)).record;
  expect(passed.probes['tcp']).toMatchObject({ lastPassAt: at(1), failureReason: null });
  const failed = stepped(passed, result(2, 'fail', 2)).record;
  expect(failed.probes['tcp']).toMatchObject({ lastPassAt: at(1), failureReason: 'refused' });
});

describe('an activation that failed', () => {
  const failure: HostEvent = {
    ...{ kind: 'ActivationFailed', seq: 1, exitCode: 1, stderrTail: '', failedAt: at(1) },
  };
  const activating = (currentClosureAtDispatch: string | null): HostRecord => ({
    ...FRESH,
    ...{ state: 'Activating', currentClosureAtDispatch },
  });

  it('says when, and under which policy', () => {
    expect(stepped(activating('old'), failure).record).toMatchObject({
      ...{ activationFailedAt: at(1), failedAt: at(1), policyApplied: 'rollback-and-halt' },
    });
  });

  it('is rolled back where the policy says so and there is somewhere to go', () => {
    const fired = (closure: string | null, onHealthFailure: 'halt' | 'rollback-and-halt') => {
      const done = step(activating(closure), failure, { onHealthFailure }, 'local');
      return done.ok && done.effects.some(({ kind }) => kind === 'FireRollback');
    };
    expect(fired('old', 'rollback-and-halt')).toBe(true);
    expect(fired('old', 'halt')).toBe(false);
    expect(fired('', 'rollback-and-halt')).toBe(false);
    expect(fired(null, 'rollback-and-halt')).toBe(false);
  });
});

it('a guessed soak that was rolled back failed then, under the policy', () => {
  const guessed: HostRecord = { ...soaking, synthesised: 'recovered' };
  const back: HostEvent = {
    ...{ kind: 'RollbackComplete', seq: 1, exitCode: 1, revertedToClosure: 'old' },
    completedAt: at(1),
  };
  expect(stepped(guessed, back).record).toMatchObject({
    ...{ state: 'Failed', failedAt: at(1), policyApplied: 'rollback-and-halt', synthesised: null },
  });
});

it.each<HostEvent>([
  { kind: 'ActivationDeferred', seq: 1, component: 'kernel', deferredAt: at(2) },
  { kind: 'ActivationFailed', seq: 1, exitCode: 1, stderrTail: '', failedAt: at(2) },
])('$kind leaves nothing of a guess', (event) => {
  const guess = { synthesised: 'restarted', activationCompletedAt: at(1), currentClosure: 'new' };
  expect(stepped({ ...soaking, ...guess }, event).record).toMatchObject({
    ...{ synthesised: null, activationCompletedAt: null, currentClosure: null },
  });
});
