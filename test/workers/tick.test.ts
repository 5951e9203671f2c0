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
  return { told, asked, begin, clock };
}

it.each([
  ['somebody is heard', true, true],
  ['nobody is', false, false],
  ['it cannot be asked', new Error('away'), false],
])('%s', async (_, answer, hearing) => {
  const { told, asked, begin } = ticking();
  const { ended } = await begin();
  asked[0]?.(answer);
  await ended;
  expect(told).toEqual([{ kind: 'Tick', hearing }]);
});

it('does not wait for an answer for long, nor ask again before it came', async () => {
  const { told, asked, begin, clock } = ticking();
  const tooLate = async () => {
    const { ended } = await begin();
    clock.advance(1_000);
    await ended;
  };
  await tooLate();
  await tooLate();
  expect([told, asked.length]).toEqual([Array(2).fill({ kind: 'Tick', hearing: false }), 1]);
  asked[0]?.(true);
  await new Promise(setImmediate);
  const { ended } = await begin();
  asked[1]?.(true);
  await ended;
  expect(told.at(-1)).toEqual({ kind: 'Tick', hearing: true });
});
