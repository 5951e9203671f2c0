/** Is it flat at the end? The last quarter of the samples against the one before it. */
import type { Sample } from './samples.ts';

export interface Trend {
  readonly name: string;
  readonly first: number;
  /** Medians of the third and the last quarter. */
  readonly before: number;
  readonly last: number;
  readonly flat: boolean;
}

/** What a heap, a pool or a table moves by itself between two looks. */
const RATIO = 1.15;
/** A few handles, megabytes or rows more are no trend. */
const SLACK = 10;
/** Grows by what happens. */
const GROWING = new Set(['log rows']);

export function trends(samples: readonly Sample[]): readonly Trend[] {
  const names = new Set(samples.flatMap(({ values }) => Object.keys(values)));
  return [...names].map((name) => trendOf(name, samples));
}

function trendOf(name: string, samples: readonly Sample[]): Trend {
  const values = samples.flatMap((sample) => sample.values[name] ?? []);
  const quarter = Math.ceil(values.length / 4);
  const before = median(values.slice(-2 * quarter, -quarter));
  const last = median(values.slice(-quarter));
  const flat = GROWING.has(name) || last <= before * RATIO + SLACK;
  return { name, first: values[0] ?? 0, before, last, flat };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
