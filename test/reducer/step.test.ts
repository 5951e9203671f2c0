/** The host's transition table under every event in every state: both twins, no throw, no change by refusal. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { HOST_STATES, pendingRecord, type HostRecord } from '../../src/reducer/host/record.ts';
import { isSynthesisedSoaking, step } from '../../src/reducer/host/step.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { KINDS } from './support/actions.ts';

const name = fc.oneof(fc.constantFrom('nginx', '__proto__', 'constructor', ''), fc.string());
const time = fc.integer({ min: 0, max: 4e12 }).map(timeOf);
const mode = fc.constantFrom('enforce' as const, 'observe' as const, 'disabled' as const);
const verdict = fc.constantFrom('pass' as const, 'fail' as const);
const policy = fc.constantFrom('halt' as const, 'rollback-and-halt' as const);
const exitCode = fc.constantFrom(0, 1, -9);
const closure = fc.constantFrom('target', 'before', '');
const seq = fc.nat({ max: 5 });

const kind = <K extends HostEvent['kind']>(k: K) => fc.constant(k);
const sub = fc.record({ controlId: name, status: verdict, framework: name });
const event: fc.Arbitrary<HostEvent> = fc.oneof(
  fc.record({
    ...{ kind: kind('DispatchAck'), seq },
    ...{ currentClosureAtDispatch: closure, receivedAt: time },
  }),
  fc.record({ kind: kind('ActivationStarted'), seq, startedAt: time, switchMethod: name }),
  fc.record({
    ...{ kind: kind('ActivationCompleted'), seq, exitCode },
    ...{ observedCurrentClosure: closure, completedAt: time },
  }),
  fc.record({ kind: kind('ActivationFailed'), seq, exitCode, stderrTail: name, failedAt: time }),
  fc.record({ kind: kind('ActivationDeferred'), seq, component: name, deferredAt: time }),
  fc.record({
    ...{ kind: kind('ProbeTopologyDeclared'), seq, declaredAt: time },
    probes: fc.array(fc.record({ probeName: name, kind: name, mode })),
  }),
  fc.record({ kind: kind('ProbeObservedFirst'), seq, probeName: name, mode, observedAt: time }),
  fc.record({
    ...{ kind: kind('ProbeResult'), seq, probeName: name, mode, status: verdict },
    ...{ observedAt: time, failureReason: name, subResults: fc.array(sub) },
  }),
  fc.record({ kind: kind('ProbeFailureFirst'), seq, probeName: name, mode, firstFailedAt: time }),
  fc.record({
    ...{ kind: kind('Failed'), seq, failedAt: time, sustainedDurationSecs: fc.nat() },
    ...{ failingProbes: fc.array(name), policyApplied: policy },
  }),
  fc.record({
    ...{ kind: kind('RollbackComplete'), seq, exitCode },
    ...{ revertedToClosure: closure, completedAt: time },
  }),
  fc.record({ kind: kind('Converged'), seq, convergedAt: time, currentClosure: closure }),
);

const status = fc.record({
  ...{ status: verdict, mode, lastObservedAt: time },
  ...{ lastPassAt: fc.constant(null), failureReason: fc.constant(null) },
});
const record: fc.Arbitrary<HostRecord> = fc
  .record({
    state: fc.constantFrom(...HOST_STATES),
    currentClosureAtDispatch: fc.constantFrom(null, '', 'before'),
    soakDueAt: fc.option(time, { nil: null }),
    probes: fc.dictionary(name, status, { maxKeys: 3 }),
    probeObservedFirstAt: fc.option(time, { nil: null }),
    probeFailureFirstAt: fc.option(time, { nil: null }),
    lastEventSeq: fc.nat({ max: 4 }),
    synthesised: fc.constantFrom(null, null, 'rebooted'),
    closed: fc.constantFrom(null, null, null, 'abandoned' as const, 'written-off' as const),
  })
  .map((fields) => ({
    ...pendingRecord({
      ...{ rolloutId: 'a@1', hostname: 'h', channel: 'a', wave: 0, targetClosure: 'target' },
    }),
    ...fields,
  }));

/** Where each event may be applied, as the design's table has it. */
const ALLOWED: Readonly<Record<HostEvent['kind'], readonly string[]>> = {
  DispatchAck: ['Pending'],
  ActivationStarted: ['Activating'],
  ActivationCompleted: ['Activating', 'Deferred', 'guessed'],
  ActivationDeferred: ['Activating', 'guessed'],
  ActivationFailed: ['Activating', 'Deferred', 'guessed'],
  ProbeTopologyDeclared: ['Soaking', 'guessed'],
  ProbeObservedFirst: ['Soaking', 'guessed'],
  ProbeResult: ['Soaking', 'guessed'],
  ProbeFailureFirst: ['Soaking', 'guessed'],
  Failed: ['Soaking', 'guessed'],
  RollbackComplete: ['Failed', 'guessed'],
  Converged: ['Soaking', 'guessed'],
};

it('generates every kind of event', () => {
  expect(new Set(fc.sample(event, 500).map((e) => e.kind))).toEqual(new Set(KINDS));
});

it('follows the table, refuses the rest without a change, and never throws', () => {
  fc.assert(
    fc.property(record, event, policy, (before, next, onHealthFailure) => {
      const copy = structuredClone(before);
      const result = step(before, next, { onHealthFailure }, 'remote');
      expect(before).toEqual(copy);
      const where = isSynthesisedSoaking(before) ? 'guessed' : before.state;
      const applies = ALLOWED[next.kind].includes(where) && before.closed === null;
      if (result.ok) expect(applies).toBe(true);
      else {
        const expected = next.seq <= before.lastEventSeq ? 'seq-regression' : 'illegal-transition';
        expect(result.code).toBe(
          expected === 'illegal-transition' && applies ? 'invariant-violated' : expected,
        );
      }
    }),
    { numRuns: 3000 },
  );
});

it('reaches equal records locally and remotely; only the effects differ', () => {
  fc.assert(
    fc.property(record, event, policy, (before, next, onHealthFailure) => {
      const local = step(before, next, { onHealthFailure }, 'local');
      const remote = step(before, next, { onHealthFailure }, 'remote');
      expect(local.ok).toBe(remote.ok);
      if (!local.ok || !remote.ok) return;
      expect(local.record).toEqual(remote.record);
      expect(local.set).toEqual(remote.set);
      expect(local.effects.filter((effect) => effect.kind === 'Quarantine')).toEqual(
        remote.effects,
      );
      expect(local.record.lastEventSeq).toBe(next.seq);
    }),
    { numRuns: 3000 },
  );
});

it('never calls a host converged that is not', () => {
  fc.assert(
    fc.property(record, event, policy, (before, next, onHealthFailure) => {
      const result = step(before, next, { onHealthFailure });
      if (!result.ok || next.kind !== 'Converged') return;
      const { currentClosure, targetClosure, soakDueAt, probes } = result.record;
      expect(currentClosure).toBe(targetClosure);
      expect(soakDueAt === null || next.convergedAt >= soakDueAt).toBe(true);
      const enforced = Object.values(probes).filter((probe) => probe.mode === 'enforce');
      expect(enforced.every((probe) => probe.status === 'pass')).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

it.each(['Activating', 'Deferred'] as const)(
  'a failed switch out of %s notes the policy',
  (state) => {
    const id = { rolloutId: 'a@1', hostname: 'a1', channel: 'a', wave: 0, targetClosure: 'target' };
    const record: HostRecord = { ...pendingRecord(id), state, lastEventSeq: 1 };
    const failed: HostEvent = {
      ...{ kind: 'ActivationFailed', seq: 2, exitCode: 1, stderrTail: '' },
      failedAt: timeOf(0),
    };
    const result = step(record, failed, { onHealthFailure: 'rollback-and-halt' }, 'remote');
    expect(result.ok && result.record.policyApplied).toBe('rollback-and-halt');
  },
);
