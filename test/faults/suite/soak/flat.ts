/** Is it flat at the end? The last quarter of the samples against the one before it. */
import type { Sample } from './samples.ts';

export interface Trend {
  readonly name: string;
  readonly first: number;
  /** Of the third and the last quarter: medians; garbage is collected before. */
  readonly before: number;
  readonly last: number;
  /** The most that the last quarter may have; null: it grows by what happens. */
  readonly limit: number | null;
  readonly flat: boolean;
}

/** What a table moves by itself between two looks; of what is counted, and of memory in use, nothing. */
const RATIO = 1.1;
/** By unit, of what has none it is a number: what is no trend though it is more than a tenth of next to nothing. */
const SLACK: ReadonlyMap<string, number> = new Map([
  ['memory MB', 25],
  ['heap MB', 5],
  ['MB', 0.5],
  ['handles', 12],
  ['sessions', 3],
  ['queued', 5],
  ['row', 20],
]);
const OF_MEMORY = / (heap|memory) MB$/;
/** Tables of what happened, and the log: retention's to bound, after days. */
const GROWS =
  /^(log rows|(event_log|verdict|operator_key|rollout|host_rollout|artifact|snapshot)\w* MB)$/;

export function trends(samples: readonly Sample[]): readonly Trend[] {
  const names = new Set(samples.flatMap(({ values }) => Object.keys(values)));
  return [...names].map((name) => trendOf(name, samples));
}

function trendOf(name: string, samples: readonly Sample[]): Trend {
  const values = samples.flatMap((sample) => sample.values[name] ?? []);
  const quarter = Math.ceil(values.length / 4);
  const before = median(values.slice(-2 * quarter, -quarter));
  const last = median(values.slice(-quarter));
  const limit = GROWS.test(name)
    ? null
    : round(before * (name.endsWith('MB') && !OF_MEMORY.test(name) ? RATIO : 1) + slackOf(name));
  return {
    name,
    first: values[0] ?? 0,
    before,
    last,
    limit,
    flat: limit === null || last <= limit,
  };
}

function slackOf(name: string): number {
  const found = [...SLACK].find(([unit]) => name.endsWith(` ${unit}`));
  return found?.[1] ?? 0;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
