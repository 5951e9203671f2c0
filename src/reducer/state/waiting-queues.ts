/**
 * The queues in which somebody waits for a slot of one budget, by what each allows, and those that allow as much in the
 * order of their rollouts. Whoever comes next is found without asking the others: those that allow less than is taken
 * have no say, and of those that allow as much the first one has it.
 */
import type { WaiterQueue } from './waiters.ts';

/** Queues of the same limit and the same number of budget: one a rollout. */
export interface QueuesAlike {
  readonly limit: number;
  readonly index: number;
  /** By channel, then by age of the rollout. */
  readonly queues: WaiterQueue[];
}

export class WaitingQueues {
  /** Those that allow most come first. */
  private readonly groups: QueuesAlike[] = [];

  *[Symbol.iterator](): Iterator<WaiterQueue> {
    for (const { queues } of this.groups) yield* queues;
  }

  add(queue: WaiterQueue): void {
    const at = place(this.groups, (group) => compareGroups(group, queue));
    const known = this.groups[at];
    if (known === undefined || compareGroups(known, queue) !== 0) {
      this.groups.splice(at, 0, { limit: queue.limit, index: queue.index, queues: [queue] });
      return;
    }
    const { queues } = known;
    const position = place(queues, (other) => compareQueues(other, queue));
    if (queues[position] !== queue) queues.splice(position, 0, queue);
  }

  delete(queue: WaiterQueue): void {
    const at = place(this.groups, (group) => compareGroups(group, queue));
    const queues = this.groups[at]?.queues ?? [];
    const position = place(queues, (other) => compareQueues(other, queue));
    if (queues[position] !== queue) return;
    queues.splice(position, 1);
    if (queues.length === 0) this.groups.splice(at, 1);
  }

  /** Those that allow so many, or more. */
  *allowing(count: number): Iterable<QueuesAlike> {
    for (const group of this.groups) {
      if (group.limit < count) return;
      yield group;
    }
  }
}

/** The first of these queues that comes after this one; whichever is first after none. */
export function queueAfter(
  queues: readonly WaiterQueue[],
  before: WaiterQueue | null,
): WaiterQueue | undefined {
  if (before === null) return queues[0];
  const at = place(queues, (other) => compareQueues(other, before));
  const found = queues[at];
  return found === before ? queues[at + 1] : found;
}

function compareGroups(a: Pick<QueuesAlike, 'limit' | 'index'>, b: WaiterQueue): number {
  if (a.limit !== b.limit) return a.limit > b.limit ? -1 : 1;
  return a.index - b.index;
}

function compareQueues(a: WaiterQueue, b: WaiterQueue): number {
  if (a.channel !== b.channel) return a.channel < b.channel ? -1 : 1;
  return a.ordinal - b.ordinal;
}

/** Where in this order the first is that does not come before. */
function place<T>(sorted: readonly T[], compare: (one: T) => number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = sorted[middle];
    if (one !== undefined && compare(one) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
