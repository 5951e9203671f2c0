/** The soak's verdict on what grew can fail: a table that bloats, a heap, handles and a queue that rise. */
import { expect, it } from 'vitest';
import { trends } from './suite/soak/flat.ts';

const SAMPLES = 400;

function verdict(name: string, valueAt: (share: number) => number): boolean | undefined {
  const samples = Array.from({ length: SAMPLES }, (_, i) => ({
    minutes: (i / SAMPLES) * 60,
    values: { [name]: valueAt(i / SAMPLES) },
  }));
  return trends(samples)[0]?.flat;
}

it.each([
  ['input_queue MB', (share: number) => 0.1 * 70 ** share],
  ['dispatch MB', (share: number) => 1 + 18 * share],
  ['inputs queued', (share: number) => 50 * share],
  ['a handles', (share: number) => 70 + 60 * share],
  ['database sessions', (share: number) => 25 + 40 * share],
  ['a memory MB', (share: number) => 140 + 300 * share],
  ['leader heap MB', (share: number) => 50 + 28 * share + 100 * (Math.round(share * SAMPLES) % 3)],
])('%s that rises is not flat', (name, valueAt) => {
  expect(verdict(name, valueAt)).toBe(false);
});

it.each([
  ['input_queue MB', (share: number) => 2 + ((share * 37) % 1) / 4],
  ['leader heap MB', (share: number) => 50 + 100 * (Math.round(share * SAMPLES) % 3)],
  ['a memory MB', (share: number) => 150 + 100 * (Math.round(share * SAMPLES) % 3)],
  ['inputs queued', () => 0],
  ['event_log MB', (share: number) => 100 * share],
])('%s that moves about is', (name, valueAt) => {
  expect(verdict(name, valueAt)).toBe(true);
});
