/**
 * The hosts of one rollout that wait for a slot in one budget, first come by wave and name. A freed slot
 * must find the next of a hundred thousand without looking at the others: a binary heap, from which
 * removed entries fall out when they reach the top.
 */
import { limitOf } from '../planner/limit.ts';
import type { RolloutRow } from './rows.ts';

interface Waiter {
  readonly hostname: string;
  readonly wave: number;
}

/** Dead entries tolerated beyond the living ones before the heap is built anew. */
const SLACK = 64;

export class WaiterQueue {
  readonly rolloutId: string;
  /** Which of the rollout's budgets. */
  readonly index: number;
  /** What that budget allows; one without a limit makes nobody wait. */
  readonly limit: number;
  readonly channel: string;
  readonly ordinal: number;
  private readonly live = new Map<string, Waiter>();
  private heap: Waiter[] = [];

  constructor({ rolloutId, channel, ordinal, plan }: RolloutRow, index: number) {
    this.rolloutId = rolloutId;
    this.index = index;
    this.channel = channel;
    this.ordinal = ordinal;
    const budget = plan.budgets[index];
    this.limit = (budget === undefined ? null : limitOf(budget)) ?? Infinity;
  }

  get size(): number {
    return this.live.size;
  }

  has(hostname: string): boolean {
    return this.live.has(hostname);
  }

  /** Everybody, in no order. */
  hostnames(): Iterable<string> {
    return this.live.keys();
  }

  add(hostname: string, wave: number): void {
    if (this.live.has(hostname)) return;
    const waiter = { hostname, wave };
    this.live.set(hostname, waiter);
    this.heap.push(waiter);
    this.rise(this.heap.length - 1);
  }

  remove(hostname: string): void {
    this.live.delete(hostname);
    if (this.heap.length <= 2 * this.live.size + SLACK) return;
    // A sorted array is a heap.
    this.heap = [...this.live.values()].sort((a, b) => (before(a, b) ? -1 : 1));
  }

  /** Whoever is due next; null when nobody waits. */
  first(): Waiter | null {
    for (let top = this.heap[0]; top !== undefined; top = this.heap[0]) {
      if (this.live.get(top.hostname) === top) return top;
      this.dropTop();
    }
    return null;
  }

  private dropTop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    this.sink();
  }

  private rise(from: number): void {
    const { heap } = this;
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.swapIfBefore(heap, at, parent)) return;
      at = parent;
    }
  }

  private sink(): void {
    const { heap } = this;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const child = isBefore(heap[right], heap[left]) ? right : left;
      if (!this.swapIfBefore(heap, child, at)) return;
      at = child;
    }
  }

  private swapIfBefore(heap: Waiter[], child: number, parent: number): boolean {
    const [a, b] = [heap[child], heap[parent]];
    if (a === undefined || b === undefined || !before(a, b)) return false;
    heap[child] = b;
    heap[parent] = a;
    return true;
  }
}

function isBefore(a: Waiter | undefined, b: Waiter | undefined): boolean {
  return a !== undefined && b !== undefined && before(a, b);
}

function before(a: Waiter, b: Waiter): boolean {
  return a.wave === b.wave ? a.hostname < b.hostname : a.wave < b.wave;
}
