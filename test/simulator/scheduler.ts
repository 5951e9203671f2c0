/**
 * Virtual time. Everything that waits, waits here: tasks run one by one in the order of their instants,
 * and what a task sets going by promises comes to rest before the next one begins. There is no real I/O
 * below, so the order of promises is fixed, and with it the whole run.
 */
import type { Millis } from '../../src/reducer/time.ts';

interface Task {
  readonly at: Millis;
  readonly order: number;
  run: (() => void) | null;
}

/**
 * Steps in one turn of the event loop. Between two immediates of a turn every promise that can go on goes on;
 * a turn for each step would take longer than most steps.
 */
const ROUND = 64;

/** Where every simulation begins. */
export const EPOCH: Millis = Date.parse('2026-11-01T12:00:00.000Z');

export class Scheduler {
  now: Millis = EPOCH;
  steps = 0;
  private readonly heap: Task[] = [];
  private order = 0;

  /** Runs `task` once after `ms`, unless the returned function is called first. */
  after(ms: Millis, task: () => void): () => void {
    this.order += 1;
    const entry: Task = { at: this.now + Math.max(0, Math.ceil(ms)), order: this.order, run: task };
    this.push(entry);
    return () => {
      entry.run = null;
    };
  }

  sleep(ms: Millis): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Lets time pass until `until`, or until `isOver`, asked after each step. */
  run(until: Millis, isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let begun = false;
      let over = false;
      const end = (): void => {
        over = true;
        resolve();
      };
      const step = (): void => {
        if (over) return;
        try {
          if (begun && isOver()) end();
          else if (!this.step(until)) end();
          begun = true;
        } catch (error) {
          over = true;
          reject(errorOf(error));
        }
      };
      const round = (): void => {
        if (over) return;
        for (let i = 0; i < ROUND; i += 1) setImmediate(step);
        setImmediate(round);
      };
      round();
    });
  }

  /** Runs what is next; false, and time has passed, when nothing is due by `until`. */
  private step(until: Millis): boolean {
    for (let next = this.heap[0]; next !== undefined && next.at <= until; next = this.heap[0]) {
      this.pop();
      if (next.run === null) continue;
      this.now = next.at;
      this.steps += 1;
      next.run();
      return true;
    }
    this.now = Math.max(this.now, until);
    return false;
  }

  private push(task: Task): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(task, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = task;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let below = left;
      if (right !== undefined && isBefore(right, left)) {
        child += 1;
        below = right;
      }
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}

/** For what a dead process waits for. */
export function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}

export function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
