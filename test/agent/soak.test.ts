/** What an agent tells of its probes, and how a soak ends when they are not what they were. */
import { expect, test } from 'vitest';
import type { ProbeMode, SubResult } from '../../src/reducer/host/events.ts';
import { pendingRecord, type HostRecord } from '../../src/reducer/host/record.ts';
import { soak } from '../../src/agent/soak.ts';
import { ManualClock } from './support/clock.ts';
import { SETTINGS, type TestHost } from './support/host.ts';
import { hostsOfTests } from './support/hosts.ts';

const newHost = hostsOfTests();

/** Status and mode of each result that was posted. */
function results(host: TestHost): string[] {
  return host.controlPlane.posts.flatMap(({ event }) =>
    event.kind === 'ProbeResult' ? [`${event.status} ${event.mode}`] : [],
  );
}

test.each<[string, ProbeMode | null, string]>([
  ['removed', null, 'fail disabled'],
  ['disabled', 'disabled', 'fail disabled'],
  ['only observed', 'observe', 'fail observe'],
])('a failing probe that a restart finds %s does not hold the soak', async (_, mode, told) => {
  const host = newHost();
  host.probe = () => 'fail';
  await host.start();
  await host.dispatch(60_000);
  await host.clock.advance(5_000);
  await host.stop();
  const declared = mode === null ? [] : [{ probeName: 'up', kind: 'exec', mode }];
  host.probes = { ...host.probes, declared };
  await host.start();
  await host.clock.advance(70_000);
  expect(results(host)).toEqual(['fail enforce', told]);
  expect(host.controlPlane.posts.at(-1)?.event.kind).toBe('Converged');
  expect(host.warnings).toEqual([]);
});

test('an end that is refused is tried again at the next look, not at once', async () => {
  const clock = new ManualClock('2026-11-01T12:10:00Z');
  const life = new AbortController();
  const id = { rolloutId: 'stable@a1', hostname: 'web-01', channel: 'stable', wave: 0 };
  const record: HostRecord = {
    ...pendingRecord({ ...id, targetClosure: 'new' }),
    state: 'Soaking',
  };
  const tried: number[] = [];
  const soaking = soak(
    {
      ...{ clock, settings: SETTINGS, policy: 'halt', record: () => record },
      probes: { declared: [], run: () => Promise.resolve({ status: 'pass' }) },
      switcher: {
        method: 'test',
        currentClosure: () => Promise.resolve('new'),
        stagedClosure: () => Promise.resolve(null),
        activate: () => Promise.resolve({ kind: 'completed', observedClosure: 'new' }),
        awaitIdle: () => Promise.resolve(),
      },
      emit: (event) => {
        if (event.kind === 'Converged') tried.push(clock.now());
        if (tried.length > 3) life.abort();
        return Promise.resolve();
      },
    },
    life.signal,
  );
  await clock.advance(SETTINGS.probeIntervalMs * 4);
  await soaking;
  expect(tried.map((at) => at - (tried[0] ?? 0))).toEqual([0, 10_000, 20_000, 30_000]);
});

test('a control that changes under a probe that does not is told', async () => {
  const host = newHost();
  let ac2: SubResult = { controlId: 'AC-2', framework: 'nis2', status: 'fail' };
  const ac9: SubResult = { controlId: 'AC-9', framework: 'nis2', status: 'fail' };
  let turned = false;
  host.probes = {
    declared: [{ probeName: 'evidence', kind: 'evidence', mode: 'observe' }],
    run: () => {
      turned = !turned;
      return Promise.resolve({ status: 'fail', subResults: turned ? [ac2, ac9] : [ac9, ac2] });
    },
  };
  await host.start();
  await host.dispatch(600_000);
  await host.clock.advance(60_000);
  expect(results(host)).toHaveLength(1);
  ac2 = { ...ac2, status: 'pass' };
  await host.clock.advance(60_000);
  expect(results(host)).toHaveLength(2);
  expect(host.controlPlane.posts.at(-1)?.event).toMatchObject({
    ...{ kind: 'ProbeResult', status: 'fail' },
    subResults: expect.arrayContaining([ac2, ac9]) as unknown,
  });
  await host.stop();
  await host.start();
  await host.clock.advance(60_000);
  expect(results(host)).toHaveLength(3);
});
