/** What the list of metrics says of each, and the bounds that its histograms share. */

export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Histograms only: upper bounds, in seconds unless the name says otherwise. */
  readonly buckets?: readonly number[];
  /** Set by the one process that works, of the whole installation; absent in all others. */
  readonly measured?: true;
}

export type MetricSpecs = Readonly<Record<string, MetricSpec>>;

/** From a cached read (0.5 ms) to an agent's own timeout (10 s), and the longest poll (60 s). */
export const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
] as const;
/** Gathered statements carry 1 to a few thousand rows. */
export const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000] as const;
