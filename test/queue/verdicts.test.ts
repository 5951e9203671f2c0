/** How often a reader asks a database that fails: a notification must not make it ask in a tight loop. */
import { expect, it } from 'vitest';
import type { Pool } from '../../src/db/pool.ts';
import { createVerdictReader } from '../../src/queue/verdicts.ts';
import { silentLogger } from '../support/installation.ts';

function setUp() {
  const timers: { ms: number; task: () => void }[] = [];
  const wakes = new Set<() => void>();
  const asked = { times: 0, fails: true };
  const pool: Pool = {
    run: () => {
      asked.times += 1;
      return asked.fails ? Promise.reject(new Error('away')) : new Promise(() => undefined);
    },
    unconfirmed: 0,
    end: () => Promise.resolve(),
  };
  const reader = createVerdictReader({
    ...{ pool, replica: 'a', logger: silentLogger(), random: () => 1 },
    listener: {
      connected: true,
      on: (_, wake) => {
        wakes.add(wake);
        return () => wakes.delete(wake);
      },
      stop: () => Promise.resolve(),
    },
    clock: {
      now: () => 0,
      monotonic: () => 0,
      after: (ms, task) => {
        timers.push({ ms, task });
        return () => undefined;
      },
    },
  });
  const wake = async (): Promise<void> => {
    for (const one of wakes) one();
    await settled();
  };
  /** Ends the newest pause; its length. */
  const passTime = async (): Promise<number> => {
    const timer = timers.pop();
    timer?.task();
    await settled();
    return timer?.ms ?? Number.NaN;
  };
  return { reader, asked, wake, passTime };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('backs off from a database that fails, whoever wakes it', async () => {
  const { reader, asked, wake, passTime } = setUp();
  void reader.wait(1, 60_000);
  const pauses: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    pauses.push(await passTime());
    for (let woken = 0; woken < 100; woken += 1) await wake();
  }
  expect(pauses).toEqual([250, 100, 200, 400, 800, 1_000]);
  expect(asked.times).toBe(6);
});
