/**
 * Who is absent from a wave, by when each fell silent: the last of them must be known without a look at all others, while a
 * fleet goes, and comes back. Hosts fall silent as time passes, so that a stack is in order by itself; whoever is heard again
 * falls out when he comes to the top, or when there are more of those than of the others.
 */
import type { Time } from '../time.ts';

/** Since when a host is absent; null: it is not. */
export type SinceOf = (hostname: string) => Time | null;

/** Entries of hosts that are back tolerated beyond as many as are absent. */
const SLACK = 64;

export class Absences {
  private stack: string[] = [];
  private newest: Time = '';
  private isInOrder = true;

  /** `absent`: how many are, this one included. */
  add(hostname: string, absent: number, sinceOf: SinceOf): void {
    const since = sinceOf(hostname) ?? '';
    if (since < this.newest) this.isInOrder = false;
    else this.newest = since;
    this.stack.push(hostname);
    if (this.stack.length > 2 * absent + SLACK) this.tidy(sinceOf);
  }

  /** When the last of those who are still absent fell silent; null when nobody is absent. */
  last(sinceOf: SinceOf): Time | null {
    if (!this.isInOrder) this.tidy(sinceOf);
    for (;;) {
      const top = this.stack.at(-1);
      if (top === undefined) return null;
      const since = sinceOf(top);
      if (since !== null) return since;
      this.stack.pop();
    }
  }

  private tidy(sinceOf: SinceOf): void {
    const absent = [...new Set(this.stack)].flatMap((hostname) => {
      const since = sinceOf(hostname);
      return since === null ? [] : [{ hostname, since }];
    });
    absent.sort((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0));
    this.stack = absent.map(({ hostname }) => hostname);
    this.newest = absent.at(-1)?.since ?? '';
    this.isInOrder = true;
  }
}
