/** How many statements many callers cost, and who waits for it. */
import { expect, it } from 'vitest';
import { gather } from '../../src/api/gather.ts';
import { fakeClock } from './support/fakes.ts';

const APART_MS = 100;

function setUp(apartMs?: number) {
  const clock = fakeClock();
  /** Sizes of the statements so far. */
  const sizes: number[] = [];
  const ask = gather<number, number>({
    clock,
    ...(apartMs === undefined ? {} : { apartMs }),
    run: (keys) => Promise.resolve(keys.map((key) => -key)),
    onRun: (size) => sizes.push(size),
  });
  return { clock, sizes, ask };
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

it('has a steady stream of many share a few statements a second, and answers each', async () => {
  const { clock, sizes, ask } = setUp(APART_MS);
  const answers: Promise<number>[] = [];
  for (let ms = 0; ms < 2_000; ms += 1) {
    answers.push(ask(2 * ms), ask(2 * ms + 1));
    clock.advance(1);
    await settled();
  }
  clock.advance(APART_MS);
  expect(await Promise.all(answers)).toEqual(answers.map((_, i) => -i));
  expect(sizes.length).toBeLessThanOrEqual(2_000 / APART_MS + 3);
});

it('asks at once for one after the other, and for the first after a pause', async () => {
  const { clock, sizes, ask } = setUp(APART_MS);
  for (let i = 0; i < 50; i += 1) expect(await ask(i)).toBe(-i);
  const crowd = [ask(1), ask(2), ask(3)];
  clock.advance(APART_MS);
  await Promise.all(crowd);
  clock.advance(APART_MS);
  expect(await ask(4)).toBe(-4);
  expect(sizes.slice(0, 50)).toEqual(Array.from({ length: 50 }, () => 1));
});

it('does not wait for more than a statement holds', async () => {
  const { sizes, ask } = setUp(APART_MS);
  await Promise.all(Array.from({ length: 3_500 }, (_, i) => ask(i + 1)).slice(0, 1));
  await settled();
  expect(sizes.slice(0, 4)).toEqual([1, 1_000, 1_000, 1_000]);
});

it('waits for nothing where somebody is in a hurry', async () => {
  const { sizes, ask } = setUp();
  for (let i = 0; i < 5; i += 1) await Promise.all([ask(1), ask(2), ask(3), ask(4)]);
  expect(sizes).toHaveLength(15);
});
