/** Token buckets: how often somebody may, on average and at once. */
import type { Clock } from '../../telemetry.ts';

export interface Rate {
  /** Regained per second. */
  readonly perSecond: number;
  /** At once. */
  readonly burst: number;
}

export class Buckets {
  private readonly clock: Clock;
  private readonly rate: Rate;
  private readonly most: number;
  /** Oldest use first; what is not there is full. */
  private readonly kept = new Map<string, { left: number; at: number }>();

  /** `most`: how many names are remembered. */
  constructor(clock: Clock, rate: Rate, most: number) {
    this.clock = clock;
    this.rate = rate;
    this.most = most;
  }

  /** 0: taken; else seconds until there is one to take. */
  take(name: string): number {
    const { perSecond, burst } = this.rate;
    const at = this.clock.monotonic();
    const before = this.kept.get(name) ?? { left: burst, at };
    const left = Math.min(burst, before.left + ((at - before.at) / 1_000) * perSecond);
    this.kept.delete(name);
    const [oldest] = this.kept.keys();
    if (this.kept.size >= this.most && oldest !== undefined) this.kept.delete(oldest);
    this.kept.set(name, { left: left < 1 ? left : left - 1, at });
    return left < 1 ? (1 - left) / perSecond : 0;
  }
}
