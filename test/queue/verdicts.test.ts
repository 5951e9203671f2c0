/** A reader of verdicts with a database of the test's own: how often it asks, and what it keeps. */
import { describe, expect, it } from 'vitest';
import type { Pool } from '../../src/db/pool.ts';
import { createVerdictReader, MOST_EARLY, type VerdictReader } from '../../src/queue/verdicts.ts';
import { silentLogger } from '../support/installation.ts';

function setUp() {
  const timers: { ms: number; task: () => void }[] = [];
  const wakes = new Set<() => void>();
  const asked = { times: 0, fails: true };
  /** Ids of inputs that are judged and not read yet. */
  const judged: number[] = [];
  let commitNo = 0;
  let now = 0;
  let incarnation = 'i';
  /** Serves both reads: where the leader is, and what is new. */
  const answer = () => {
    const verdicts = judged.splice(0).map((id) => [id, { status: 'noop' }, []]);
    commitNo += 1;
    const place = { incarnation, epoch: 1, commitNo };
    return { ...place, place, rows: verdicts.length === 0 ? [] : [{ ...place, verdicts }] };
  };
  const pool: Pool = {
    run: () => {
      asked.times += 1;
      // The statements are not looked at.
      return asked.fails ? Promise.reject(new Error('away')) : Promise.resolve(answer() as never);
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
      monotonic: () => now,
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
  const passTimeTo = (ms: number): void => {
    now = ms;
  };
  /** So long after the beginning the oldest timer ends: of waits, as long as there is one. */
  const endWaits = async (ms: number): Promise<void> => {
    now = ms;
    timers.shift()?.task();
    await settled();
  };
  /** A commit with these verdicts is announced and read. */
  const commit = (...ids: number[]): Promise<void> => {
    judged.push(...ids);
    return wake();
  };
  /** A standby is promoted, or a backup restored: ids of inputs that only the old one had are given to others. */
  const failOver = (): void => {
    incarnation = 'j';
    commitNo = 0;
  };
  return { reader, asked, wake, passTime, passTimeTo, endWaits, commit, failOver };
}

/**
 * Whatever has been answered is dealt with: nothing here waits for more than a few promises. No turn of the event loop is
 * taken for it: hundreds of them may be slow in a worker that other files have used.
 */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

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

describe('who waited in vain', () => {
  it('is told that it is queued where the database answered meanwhile', async () => {
    const { reader, asked, wake, endWaits, passTimeTo } = setUp();
    asked.fails = false;
    const waits = reader.wait(1, 2_000);
    passTimeTo(1_500);
    await wake();
    await endWaits(2_000);
    expect(await waits).toBeNull();
  });

  it('is to send again where it failed, though it had answered, or did not answer', async () => {
    const failed = setUp();
    failed.asked.fails = false;
    const waits = failed.reader.wait(1, 2_000);
    await failed.wake();
    failed.asked.fails = true;
    await failed.wake();
    await failed.endWaits(2_000);
    expect(await waits).toBe('gone');

    const silent = setUp();
    silent.asked.fails = false;
    const unheard = silent.reader.wait(1, 2_000);
    await silent.wake();
    await silent.endWaits(2_000);
    expect(await unheard).toBe('gone');
  });

  it('is told that it is queued after a wait in which nobody would have looked', async () => {
    const { reader, endWaits } = setUp();
    const waits = reader.wait(1, 100);
    await endWaits(100);
    expect(await waits).toBeNull();
  });

  it('is heard in time whoever came before', async () => {
    const { reader, wake, asked, endWaits } = setUp();
    asked.fails = false;
    const long = reader.wait(1, 60_000);
    const short = reader.wait(2, 400);
    await wake();
    // The timer of the long wait was given up for that of the short one.
    await endWaits(0);
    await endWaits(0);
    await endWaits(400);
    expect(await Promise.race([short, settled().then(() => 'waits')])).toBeNull();
    expect(await Promise.race([long, settled().then(() => 'waits')])).toBe('waits');
  });
});

/** The verdict, if it is known already. */
const knownNow = (reader: VerdictReader, id: number) =>
  Promise.race([reader.wait(id, 60_000), settled().then(() => 'unknown' as const)]);

it('keeps a verdict for the insert whose answer is still on its way', async () => {
  const { reader, asked, commit } = setUp();
  asked.fails = false;
  const end = await reader.beginInsert();
  await commit(1);
  const endNext = await reader.beginInsert();
  expect(reader.early).toBe(1);
  expect(await knownNow(reader, 1)).toMatchObject({ status: 'judged' });
  expect(reader.early).toBe(0);
  end();
  endNext();
});

it('keeps no verdict that came too late, though one insert follows the other without a gap', async () => {
  const { reader, asked, commit } = setUp();
  asked.fails = false;
  let end = await reader.beginInsert();
  for (let late = 1; late <= 100; late += 1) {
    await commit(late);
    const endNext = await reader.beginInsert();
    await commit(1_000 + late); // of either
    end();
    end = endNext;
    expect(reader.early).toBe(1);
  }
  expect(await knownNow(reader, 100)).toBe('unknown');
  expect(await knownNow(reader, 1_100)).toMatchObject({ status: 'judged' });
  end();
  expect(reader.early).toBe(0);
});

it('keeps a bounded number, the newest', async () => {
  const { reader, asked, commit } = setUp();
  asked.fails = false;
  const end = await reader.beginInsert();
  await commit(...Array.from({ length: MOST_EARLY + 1 }, (_, id) => id));
  expect(reader.early).toBe(MOST_EARLY);
  expect(await knownNow(reader, 0)).toBe('unknown');
  expect(await knownNow(reader, 1)).toMatchObject({ status: 'judged' });
  end();
  expect(reader.early).toBe(0);
});

it('tells nobody who was stored in the database that has gone the verdict of his id in the next', async () => {
  const { reader, asked, commit, failOver } = setUp();
  asked.fails = false;
  const end = await reader.beginInsert();
  const waits = reader.wait(1, 60_000);
  await commit(2);
  expect(reader.early).toBe(1);
  failOver();
  await commit(1, 2);
  expect(await waits).toBe('gone');
  expect(await knownNow(reader, 2)).toBe('unknown');
  end();
});
