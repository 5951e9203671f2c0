/** What happened, line by line: hashed whole, kept in part, so that a failure shows its last steps. */
import { EPOCH, type Scheduler } from './scheduler.ts';

/** Enough to hold the minutes before a failure; a whole run has some thousands. */
const KEPT = 400;

export class Trace {
  /** Every line, when somebody wants to read them all. */
  readonly all: string[] | null;
  private readonly scheduler: Scheduler;
  private readonly lines: string[] = [];
  private low = 0x811c9dc5;
  private high = 0x9e3779b9;
  private count = 0;

  constructor(scheduler: Scheduler, keepAll: boolean) {
    this.scheduler = scheduler;
    this.all = keepAll ? [] : null;
  }

  say(who: string, what: string): void {
    const line = `${String(this.scheduler.now - EPOCH).padStart(9)} ${who} ${what}`;
    this.mix(line);
    this.all?.push(line);
    this.lines[this.count % KEPT] = line;
    this.count += 1;
  }

  /** The same for the same lines in the same order, and hardly for any others. */
  get hash(): string {
    const half = (value: number) => (value >>> 0).toString(16).padStart(8, '0');
    return `${half(this.low)}${half(this.high)}`;
  }

  /** The last lines that speak of any of these words; all, where none are given. */
  tail(most: number, words: readonly string[] = []): readonly string[] {
    const first = Math.max(0, this.count - KEPT);
    const kept = Array.from({ length: this.count - first }, (_, i) => {
      return this.lines[(first + i) % KEPT] ?? '';
    });
    const telling = kept.filter(
      (line) => words.length === 0 || words.some((w) => line.includes(w)),
    );
    return telling.slice(-most);
  }

  private mix(line: string): void {
    for (let i = 0; i < line.length; i += 1) {
      const code = line.charCodeAt(i);
      this.low = Math.imul(this.low ^ code, 0x01000193);
      this.high = Math.imul(this.high ^ (code + i), 0x85ebca6b);
    }
  }
}
