/** What a fault is, and what is found after it. */
import type { Bench, BenchOptions } from './bench/bench.ts';
import type { Counts } from './load/history.ts';

export interface Fault {
  readonly name: string;
  /** One sentence: what is broken, and when. */
  readonly what: string;
  /** Part of the short form, too. */
  readonly short?: boolean;
  /** The longest time without progress that is allowed; absent: it is measured only. */
  readonly limitMs?: number;
  /** Inputs that it plants to die. */
  readonly dead?: number;
  /** Needs an installation of its own, made so; default: the one of the run. */
  readonly start?: (options: BenchOptions) => Promise<Bench>;
  /** Why it cannot be done here; null: it can. */
  readonly cannot?: () => string | null;
  /** Breaks something under load. The runner heals and checks; what it throws fails the fault. */
  readonly run: (bench: Bench) => Promise<void>;
}

export interface Row extends Counts {
  readonly fault: string;
  /** `late`: nothing is wrong but its time, and it is tried once more; a second time it has failed. */
  readonly verdict: 'passed' | 'late' | 'failed' | 'skipped';
  readonly lost: number;
  readonly duplicated: number;
  readonly gaps: number;
  readonly outageMs: number;
  /** Of these, how long a process stood ready and had no CPU: it does not count against the limit. */
  readonly starvedMs: number;
  readonly limitMs: number | null;
  /** Why it failed or was skipped. */
  readonly why: readonly string[];
  /** What else is worth knowing of it. */
  readonly notes: readonly string[];
}
