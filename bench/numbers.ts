/** Medians and percentiles, rounded for people. */

/** Sorts in place. */
export function percentiles(values: Float64Array): {
  p50: number;
  p99: number;
  p999: number;
  max: number;
} {
  values.sort();
  const at = (share: number): number =>
    round(values[Math.max(0, Math.ceil(values.length * share) - 1)] ?? Number.NaN);
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Three significant digits: the machine's noise is larger than the fourth. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** The median of each number over all rounds. */
export function medians<Key extends string>(
  rounds: readonly Readonly<Record<Key, number>>[],
): Record<Key, number> {
  const [first] = rounds;
  if (first === undefined) throw new Error('no round was measured');
  // Object.keys forgets what the type says of them.
  const keys = Object.keys(first) as Key[];
  const entries = keys.map((key) => [key, round(median(rounds.map((one) => one[key])))] as const);
  return Object.fromEntries(entries) as Record<Key, number>;
}
