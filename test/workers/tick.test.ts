/** What a tick tells beside the time: whether any host at all is heard. */
import { expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { tick } from '../../src/workers/tick.ts';
import { fakeClock } from '../api/support/fakes.ts';
import { silentLogger } from '../support/installation.ts';

type Answer = (heard: boolean | Error) => void;

function ticking() {
  const clock = fakeClock();
  const told: StoredInput[] = [];
  const asked: Answer[] = [];
  const submit = (input: StoredInput) => {
    told.push(input);
    return Promise.resolve();
  };
  const task = tick(
    {
      ...{ submit, clock, log: silentLogger(), metrics: createMetrics() },
      random: () => 0.5,
    },
    {
      isTickQueued: () => Promise.resolve(false),
      isAnyoneHeard: () =>
        new Promise((resolve, reject) => {
          asked.push((heard) => {
            if (heard instanceof Error) reject(heard);
            else resolve(heard);
          });
        }),
      deafMs: 180_000,
      nextDue: () => Promise.resolve(null),
      everyMs: 15_000,
      committed: () => Promise.resolve(),
    },
  );
  /** Begins a round; resolves when its question is asked, or it waits for the one that is. */
  const begin = async (): Promise<{ readonly ended: Promise<void> }> => {
    const ended = task.run(new AbortController().signal);
    await new Promise(setImmediate);
    return { ended };
  };
  /** A round whose question is answered at once; what it told. */
  const round = async (answer: boolean | Error): Promise<StoredInput | undefined> => {
    const { ended } = await begin();
    asked.at(-1)?.(answer);
    await ended;
    return told.at(-1);
  };
  return { told, asked, begin, round, clock };
}

const HEARING: StoredInput = { kind: 'Tick', hearing: true };
const DEAF: StoredInput = { kind: 'Tick', hearing: false };

it.each([
  ['somebody is heard', true, HEARING],
  ['nobody is', false, DEAF],
  ['it cannot be asked', new Error('away'), DEAF],
])('%s', async (_, answer, tells) => {
  const { round } = ticking();
  await round(true);
  expect(await round(answer)).toEqual(tells);
});

it('who was heard before the first tick, or after a gap in them, was not heard all the while', async () => {
  const { round, clock } = ticking();
  expect(await round(true)).toEqual(DEAF);
  expect(await round(true)).toEqual(HEARING);
  clock.advance(180_000);
  expect(await round(true)).toEqual(HEARING);
  clock.advance(180_001);
  expect(await round(true)).toEqual(DEAF);
  expect(await round(true)).toEqual(HEARING);
});

it('does not wait for an answer for long, nor ask again before it came', async () => {
  const { told, asked, begin, round, clock } = ticking();
  await round(true);
  const tooLate = async () => {
    const { ended } = await begin();
    clock.advance(1_000);
    await ended;
  };
  await tooLate();
  await tooLate();
  expect([told.slice(1), asked.length]).toEqual([[DEAF, DEAF], 2]);
  asked[1]?.(true);
  await new Promise(setImmediate);
  expect(await round(true)).toEqual(HEARING);
});
