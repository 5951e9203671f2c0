/** A reader of verdicts with a database of the test's own: how often it asks, and what it keeps. */
import { describe, expect, it } from 'vitest';
import type { Pool } from '../../src/db/pool.ts';
import { createVerdictReader, MOST_EARLY, type VerdictReader } from '../../src/queue/verdicts.ts';
import { silentLogger } from '../support/installation.ts';

function setUp() {
  const timers: { ms: number; task: () => void }[] = [];
  const wakes = new Set<() => void>();
  const asked = { times: 0, fails: true, hangs: false };
  /** Ids of inputs that are judged and not read yet. */
  const judged: number[] = [];
  let commitNo = 0;
  let now = 0;
  let incarnation = 'i';
  let timeline = 1;
  /** Serves both reads: where the leader is, and what is new. */
  const answer = () => {
    const verdicts = judged.splice(0).map((id) => [id, { status: 'noop' }, []]);
    commitNo += 1;
    const place = { timeline, incarnation, epoch: 1, commitNo };
    return { ...place, place, rows: verdicts.length === 0 ? [] : [{ ...place, verdicts }] };
  };
  const pool: Pool = {
    run: () => {
      asked.times += 1;
      if (asked.hangs) return new Promise(() => undefined);
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
    timeline += 1;
  };
  /** And somebody leads there. */
  const takeOver = (): void => {
    incarnation = 'j';
    commitNo = 0;
  };
  return { reader, asked, wake, passTime, endWaits, commit, judged, failOver, takeOver };
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
  it('is told that it is queued where the database answers after the wait', async () => {
    for (const ms of [100, 2_000]) {
      const { reader, asked, endWaits } = setUp();
      asked.fails = false;
      const waits = reader.wait(1, ms);
      await endWaits(ms);
      expect(await waits).toBeNull();
      expect(asked.times).toBe(2);
    }
  });

  it('is told the verdict that the last look finds', async () => {
    const { reader, asked, wake, endWaits, judged } = setUp();
    asked.fails = false;
    const waits = reader.wait(1, 2_000);
    await wake();
    judged.push(1);
    await endWaits(2_000);
    expect(await waits).toMatchObject({ status: 'judged' });
  });

  it('is to send again where the database fails then, though it had answered', async () => {
    const { reader, asked, wake, endWaits } = setUp();
    asked.fails = false;
    const waits = reader.wait(1, 2_000);
    await wake();
    asked.fails = true;
    await endWaits(2_000);
    expect(await waits).toBe('gone');
  });

  it('at once where it failed before', async () => {
    const { reader, asked, wake, endWaits } = setUp();
    const waits = reader.wait(1, 2_000);
    await wake();
    const { times } = asked;
    await endWaits(2_000);
    expect(await waits).toBe('gone');
    expect(asked.times).toBe(times);
  });

  it('or where it does not answer', async () => {
    const { reader, asked, wake, endWaits } = setUp();
    asked.fails = false;
    const waits = reader.wait(1, 2_000);
    await wake();
    asked.hangs = true;
    await endWaits(2_000);
    expect(await Promise.race([waits, settled().then(() => 'waits')])).toBe('waits');
    for (let timer = 0; timer < 3; timer += 1) await endWaits(3_000);
    expect(await waits).toBe('gone');
  });

  it('or where another database answers, though nobody leads there yet', async () => {
    const { reader, asked, wake, endWaits, failOver } = setUp();
    asked.fails = false;
    const waits = reader.wait(1, 2_000);
    await wake();
    failOver();
    await endWaits(2_000);
    expect(await waits).toBe('gone');
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
  const { reader, asked, commit, failOver, takeOver } = setUp();
  asked.fails = false;
  const end = await reader.beginInsert();
  const waits = reader.wait(1, 60_000);
  await commit(2);
  expect(reader.early).toBe(1);
  failOver();
  takeOver();
  await commit(1, 2);
  expect(await waits).toBe('gone');
  expect(await knownNow(reader, 2)).toBe('unknown');
  end();
});
