/** One agent through whole rollouts: what it does to its host, and what it tells the control plane. */
import { expect, test } from 'vitest';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { BEFORE, type TestHost } from './support/host.ts';
import { hostsOfTests } from './support/hosts.ts';
import { releaseInMemory, ROLLOUT, target } from './support/release.ts';

const newHost = hostsOfTests();

function kinds(host: TestHost): HostEvent['kind'][] {
  return host.controlPlane.posts.map(({ event }) => event.kind);
}

const SOAKED = [
  ...(['DispatchAck', 'ActivationStarted', 'ActivationCompleted'] as const),
  ...(['ProbeTopologyDeclared', 'ProbeObservedFirst', 'ProbeResult'] as const),
];

test('a good release: switch, soak until it is due, converge; seqs without a gap', async () => {
  const host = newHost();
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(299_000);
  expect(kinds(host)).toEqual(SOAKED);
  await host.clock.advance(2_000);
  expect(kinds(host)).toEqual([...SOAKED, 'Converged']);
  expect(host.controlPlane.posts.map(({ event }) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(host.switched).toEqual([target('web-01')]);
});

test('a failed switch under `halt` is reported and left alone', async () => {
  const host = newHost();
  host.outcome = () => ({ kind: 'failed', exitCode: 4, stderrTail: 'no space' });
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(600_000);
  expect(kinds(host)).toEqual(['DispatchAck', 'ActivationStarted', 'ActivationFailed']);
  expect(host.switched).toEqual([target('web-01')]);
});

/** Of a switch to anything but what ran before. */
const failsForward: TestHost['outcome'] = (closure) =>
  closure === BEFORE
    ? { kind: 'completed', observedClosure: closure }
    : { kind: 'failed', exitCode: 4, stderrTail: '' };

test('a failed switch under `rollback-and-halt` goes back to what ran before', async () => {
  const host = newHost();
  host.source = releaseInMemory({ policy: 'rollback-and-halt' });
  host.outcome = failsForward;
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(10_000);
  expect(kinds(host).slice(-2)).toEqual(['ActivationFailed', 'RollbackComplete']);
  expect(host.switched).toEqual([target('web-01'), BEFORE]);
});

test.each([
  { kind: 'failed', exitCode: 3, stderrTail: '' },
  { kind: 'failed', exitCode: 0, stderrTail: 'it says that it went well, and did not' },
  { kind: 'deferred', component: 'kernel' },
] as const)('a rollback that has not happened is reported as failed: %o', async (outcome) => {
  const host = newHost();
  host.source = releaseInMemory({ policy: 'rollback-and-halt' });
  host.probe = () => 'fail';
  host.outcome = (closure) =>
    closure === BEFORE ? outcome : { kind: 'completed', observedClosure: closure };
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(60_000);
  const last = host.lines.flatMap((line) => (line.t === 'event' ? [line.event] : [])).at(-1);
  expect(last).toMatchObject({ kind: 'RollbackComplete', revertedToClosure: BEFORE });
  expect(last).toHaveProperty(
    'exitCode',
    outcome.kind === 'failed' && outcome.exitCode > 0 ? 3 : 1,
  );
});

test('a probe that keeps failing fails the release; one that recovers does not', async () => {
  const host = newHost();
  host.source = releaseInMemory({ policy: 'rollback-and-halt' });
  host.probe = () => 'fail';
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(15_000);
  expect(kinds(host)).not.toContain('Failed');
  await host.clock.advance(20_000);
  expect(kinds(host).slice(-4)).toEqual([
    ...['ProbeFailureFirst', 'ProbeResult', 'Failed', 'RollbackComplete'],
  ]);
  expect(host.closure).toBe(BEFORE);

  const recovering = newHost();
  recovering.probe = () => 'fail';
  await recovering.start();
  await recovering.dispatch(0);
  await recovering.clock.advance(15_000);
  recovering.probe = () => 'pass';
  await recovering.clock.advance(15_000);
  expect(kinds(recovering).at(-1)).toBe('Converged');
});

test('a switch that waits for a reboot is completed after it', async () => {
  const host = newHost();
  host.outcome = () => ({ kind: 'deferred', component: 'kernel' });
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(60_000);
  expect(kinds(host).at(-1)).toBe('ActivationDeferred');
  host.closure = target('web-01');
  await host.clock.advance(6_000);
  expect(kinds(host).slice(3)).toEqual([...SOAKED.slice(2), 'Converged']);
});

test.each([
  ['the switch succeeded meanwhile', target('web-01'), null, 'ActivationCompleted'],
  ['it waits for a reboot', BEFORE, target('web-01'), 'ActivationDeferred'],
  ['another one does', BEFORE, 'old-system', 'ActivationFailed'],
  ['it did not', BEFORE, null, 'ActivationFailed'],
])('restarted mid-switch, %s: never a second switch', async (_, closure, staged, reported) => {
  const host = newHost();
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(1_000);
  await host.stop();
  expect(host.switched).toHaveLength(1);
  host.closure = closure;
  host.staged = staged;
  await host.start();
  await host.clock.advance(1_000);
  expect(kinds(host)[2]).toBe(reported);
  expect(host.switched).toHaveLength(1);
});

test('restarted before the rollback was done: it is done', async () => {
  const host = newHost();
  host.source = releaseInMemory({ policy: 'rollback-and-halt' });
  host.probe = () => 'fail';
  await host.start();
  await host.dispatch(300_000);
  // 2 s of switch, 20 s of failing probes, and into the rollback.
  await host.clock.advance(23_000);
  expect(kinds(host).at(-1)).toBe('Failed');
  await host.stop();
  host.closure = target('web-01');
  await host.start();
  await host.clock.advance(5_000);
  expect(kinds(host).at(-1)).toBe('RollbackComplete');
  expect(host.closure).toBe(BEFORE);
});

test('restarted between a failed switch and its rollback: it is done, whatever runs', async () => {
  const host = newHost();
  host.source = releaseInMemory({ policy: 'rollback-and-halt' });
  host.outcome = failsForward;
  await host.start();
  await host.dispatch(300_000);
  // The switch takes 2 s, and so does its rollback.
  await host.clock.advance(3_000);
  expect(kinds(host).at(-1)).toBe('ActivationFailed');
  await host.stop();
  const before = host.switched.length;
  await host.start();
  await host.clock.advance(10_000);
  expect(kinds(host).at(-1)).toBe('RollbackComplete');
  expect(host.switched.slice(before)).toEqual([BEFORE]);
});

test('a newer rollout ends the soak of the older one', async () => {
  const host = newHost();
  await host.start();
  await host.dispatch(3_600_000);
  await host.clock.advance(30_000);
  host.source = releaseInMemory({ ref: 'b2' });
  await host.stop();
  await host.start();
  await host.dispatch(0, { rolloutId: 'stable@b2', targetClosure: target('web-01', 'b2') });
  await host.clock.advance(3_600_000);
  const newer = host.controlPlane.posts.filter(({ rolloutId }) => rolloutId === 'stable@b2');
  expect(newer.at(-1)?.event.kind).toBe('Converged');
  const older = host.controlPlane.posts.filter(({ rolloutId }) => rolloutId === ROLLOUT);
  expect(older.map(({ event }) => event.kind)).toEqual(SOAKED);
});

/** A host whose switch to the older rollout takes another minute, and which is offered the newer one. */
async function offeredMeanwhile(switchMs: number): Promise<TestHost> {
  const host = newHost();
  host.switchMs = switchMs;
  await host.start();
  await host.dispatch(600_000);
  host.source.become(releaseInMemory({ ref: 'b2' }));
  await host.dispatch(600_000, NEWER);
  await host.clock.advance(switchMs);
  return host;
}

const NEWER = { rolloutId: 'stable@b2', targetClosure: target('web-01', 'b2') };

test('a newer rollout waits for a switch that runs', async () => {
  const host = await offeredMeanwhile(20_000);
  expect(host.switched).toEqual([target('web-01'), NEWER.targetClosure]);
});

test('a newer rollout that had to wait long for a switch is begun when it is offered again', async () => {
  const host = await offeredMeanwhile(60_000);
  expect(host.switched).toEqual([target('web-01')]);
  host.switchMs = 2_000;
  await host.dispatch(600_000, NEWER);
  await host.clock.advance(10_000);
  expect(host.switched).toEqual([target('web-01'), NEWER.targetClosure]);
});

test('a newer rollout that was taken back while it waited for a switch leaves the older one to soak', async () => {
  const host = await offeredMeanwhile(60_000);
  await host.clock.advance(600_000);
  expect(kinds(host)).toEqual([...SOAKED, 'Converged']);
  expect(host.controlPlane.posts.map(({ rolloutId }) => rolloutId)).not.toContain('stable@b2');
});

test('a newer rollout waits for a probe that does not end when it is told to, however long', async () => {
  const host = newHost();
  const verdicts = ['fail' as const];
  const run = async () => {
    const status = verdicts.pop() ?? ('pass' as const);
    if (status === 'fail') await host.clock.sleep(40_000, new AbortController().signal);
    return { status };
  };
  host.probes = { declared: host.probes.declared, run };
  await host.start();
  await host.dispatch(600_000);
  await host.clock.advance(10_000);
  host.source.become(releaseInMemory({ ref: 'b2' }));
  await host.dispatch(600_000, NEWER);
  await host.clock.advance(60_000);
  expect(host.switched).toEqual([target('web-01'), NEWER.targetClosure]);
});

test('nothing happens before it is written: a full disk ends the agent, not the host', async () => {
  const host = newHost();
  host.store = {
    load: () => Promise.resolve([]),
    append: (line) => (line.t === 'event' ? Promise.reject(new Error('full')) : Promise.resolve()),
  };
  await host.start();
  await host.dispatch(0);
  await expect(host.ended).rejects.toThrow('full');
  expect(host.switched).toEqual([]);
  expect(host.controlPlane.posts).toEqual([]);
});

test('the offer of a rollout already taken on makes it report again, and nothing else', async () => {
  const host = newHost();
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(10_000);
  const told = kinds(host).length;
  await host.dispatch(300_000);
  await host.clock.advance(1_000);
  expect(kinds(host)).toHaveLength(2 * told);
  expect(host.switched).toHaveLength(1);
});

test('an agent that lost its journal takes up what the control plane remembers', async () => {
  const host = newHost();
  host.closure = target('web-01');
  const snapshot = {
    ...{ rolloutId: ROLLOUT, hostname: 'web-01', channel: 'stable', state: 'Soaking' as const },
    ...{ targetClosure: target('web-01'), lastEventSeq: 3 },
    dispatchedAt: timeOf(host.clock.now()),
  };
  host.controlPlane.heard = () => ({ kind: 'heard', replayFrom: null, bootstrap: [snapshot] });
  await host.start();
  await host.clock.advance(1_000);
  expect(host.controlPlane.story[0]).toBe('ProbeTopologyDeclared 4');
  expect(kinds(host).at(-1)).toBe('Converged');
  expect(host.switched).toEqual([]);
});

test('a snapshot that no signed manifest bears out is not believed', async () => {
  const host = newHost();
  const snapshot = {
    ...{ rolloutId: ROLLOUT, hostname: 'web-01', channel: 'stable', state: 'Soaking' as const },
    ...{ targetClosure: 'something-else', lastEventSeq: 3 },
    dispatchedAt: timeOf(host.clock.now()),
  };
  host.controlPlane.heard = () => ({ kind: 'heard', replayFrom: null, bootstrap: [snapshot] });
  await host.start();
  await host.clock.advance(1_000);
  expect(host.controlPlane.posts).toEqual([]);
  expect(host.warnings).toEqual(['snapshot refused']);
});

test('heartbeats state what was delivered, and name the rollout once that is all', async () => {
  const host = newHost();
  await host.start();
  await host.clock.advance(0);
  expect(host.controlPlane.heartbeats[0]).toMatchObject({
    ...{ hostname: 'web-01', current_closure: BEFORE, last_event_seq_by_rollout: {} },
  });
  expect(host.controlPlane.heartbeats[0]).not.toHaveProperty('rollout_id');
  await host.dispatch(300_000);
  await host.clock.advance(60_000);
  expect(host.controlPlane.heartbeats.at(-1)).toMatchObject({
    rollout_id: ROLLOUT,
    last_event_seq_by_rollout: { [ROLLOUT]: 6 },
    current_closure: target('web-01'),
    uptime_secs: 60,
  });
});

test('asked to replay, it posts again what is above the seq, in order', async () => {
  const host = newHost();
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(59_000);
  host.controlPlane.posts.splice(0);
  host.controlPlane.heard = () => ({ kind: 'heard', replayFrom: 2, bootstrap: [] });
  await host.clock.advance(2_000);
  expect(host.controlPlane.story).toEqual([
    ...[
      'ActivationCompleted 3',
      'ProbeTopologyDeclared 4',
      'ProbeObservedFirst 5',
      'ProbeResult 6',
    ],
  ]);
});
