/** A clock that stands still until it is moved, and then lets everything happen that was due, in order. */
import type { Clock } from '../../../src/agent/clock.ts';

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  private time: number;
  private timers: Timer[] = [];

  constructor(start: string) {
    this.time = Date.parse(start);
  }

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const fire = (): void => {
        this.timers = this.timers.filter((other) => other !== timer);
        signal.removeEventListener('abort', fire);
        resolve();
      };
      const timer: Timer = { at: this.time + ms, fire };
      this.timers.push(timer);
      signal.addEventListener('abort', fire, { once: true });
    });
  }

  /** Moves time on by `ms`, stopping at each timer until what it woke has come to rest. */
  async advance(ms: number): Promise<void> {
    const until = this.time + ms;
    await settled();
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.time = Math.max(this.time, next.at);
      next.fire();
      await settled();
    }
    this.time = until;
  }
}

/** Everything that waits for nothing but other promises has run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
