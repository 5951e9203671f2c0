/** Whose silence counts, by fake clocks: the wall's may jump, the monotonic one tells for how long we listened. */
import { expect, it } from 'vitest';
import type { SilentHost } from '../../src/db/housekeeping.ts';
import { createMetrics } from '../../src/telemetry.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { liveness } from '../../src/workers/liveness.ts';
import { silentLogger } from '../support/installation.ts';
import { fakeClock } from '../api/support/fakes.ts';

const BEAT_MS = 60_000;
const SILENT: SilentHost = {
  hostname: 'web-01',
  lastHeardAt: '2026-05-16T01:00:00.000Z',
  reachableAt: '2026-05-16T00:10:00.000Z',
};

function watching() {
  const time = fakeClock();
  const told: StoredInput[] = [];
  const state = { offset: 0, silent: [SILENT], trouble: null as Error | null };
  const context = {
    submit: (input: StoredInput) => {
      told.push(input);
      return Promise.resolve();
    },
    log: silentLogger(),
    metrics: createMetrics(),
    clock: { ...time, now: () => Date.UTC(2026, 4, 16) + time.now() + state.offset },
    random: () => 0.5,
  };
  const task = liveness(
    context,
    () => (state.trouble === null ? Promise.resolve(state.silent) : Promise.reject(state.trouble)),
    BEAT_MS,
  );
  const signal = new AbortController().signal;
  /** Looks as often as it would in so many heartbeats. */
  const pass = async (beats: number): Promise<void> => {
    for (let looks = 0; looks < beats * 4; looks++) {
      time.advance(task.everyMs);
      await task.run(signal).catch(() => undefined);
    }
  };
  return { state, told, pass, time };
}

it('a silent host is told of once three heartbeats could have come', async () => {
  const { told, pass } = watching();
  await pass(2.75);
  expect(told).toEqual([]);
  await pass(0.25);
  expect(told).toMatchObject([{ kind: 'HostsUnreachable', hosts: [{ hostname: 'web-01' }] }]);
});

it.each([600_000, -600_000])('a wall clock that steps by %d ms changes nothing', async (step) => {
  const { state, told, pass } = watching();
  await pass(1);
  state.offset = step;
  await pass(1.75);
  expect(told).toEqual([]);
  await pass(0.25);
  expect(told).toHaveLength(1);
});

it('what was seen is dated by the clock that the reducer compares it with', async () => {
  const { told, state, pass } = watching();
  state.silent = [
    SILENT,
    { ...SILENT, hostname: 'web-02', reachableAt: '2031-01-01T00:00:00.000Z' },
  ];
  await pass(3);
  expect(told).toMatchObject([{ observedAt: '2031-01-01T00:00:00.000Z' }]);
  expect(told).not.toHaveProperty('[0].hosts[0].reachableAt');
});

it('stands still while nobody can be heard, from the first look on', async () => {
  const { told, state, pass } = watching();
  state.trouble = new Error('heartbeats cannot be stored');
  await pass(10);
  state.trouble = null;
  await pass(2.75);
  expect(told).toEqual([]);
  await pass(0.5);
  expect(told).not.toEqual([]);
});

it('one look that failed is one heartbeat at the most', async () => {
  const { told, state, pass } = watching();
  await pass(1);
  state.trouble = new Error('timeout');
  await pass(0.25);
  state.trouble = null;
  await pass(1.75);
  expect(told).toHaveLength(1);
});

it('a process that was frozen listens anew', async () => {
  const { told, pass, time } = watching();
  await pass(2.75);
  time.advance(5 * BEAT_MS);
  await pass(2.75);
  expect(told).toEqual([]);
});

it('a fleet whose presence is lost meanwhile has the time that it has after a takeover', async () => {
  const { told, state, pass } = watching();
  const lost = { ...SILENT, lastHeardAt: null };
  state.silent = [];
  await pass(9);
  state.silent = [lost, { ...lost, hostname: 'web-02' }];
  await pass(1);
  // Heard again: its next loss counts anew.
  state.silent = [{ ...lost, hostname: 'web-02' }];
  await pass(0.25);
  state.silent = [lost, { ...lost, hostname: 'web-02' }];
  await pass(1.75);
  expect(told).toEqual([]);
  await pass(0.25);
  expect(told).toMatchObject([{ hosts: [{ hostname: 'web-02', lastHeardAt: null }] }]);
});

it('who was heard and fell silent waits for nobody whose presence is lost', async () => {
  const { told, state, pass } = watching();
  state.silent = [];
  await pass(9);
  state.silent = [SILENT, { ...SILENT, hostname: 'web-02', lastHeardAt: null }];
  await pass(0.25);
  expect(told).toMatchObject([{ hosts: [{ hostname: 'web-01' }] }]);
  expect(told).not.toHaveProperty('[0].hosts[1]');
});
