/**
 * Hands slots that became free to those who wait for them, in the order in which a pass over everybody
 * would: by channel, rollout, wave and name. Only the next in each queue is looked at, however many wait.
 */
import type { Pass } from '../pass.ts';
import { noteQueue } from '../state/flight.ts';
import type { BudgetState, FleetState, RolloutState } from '../state/state.ts';
import type { WaiterQueue } from '../state/waiters.ts';
import { queueAfter, type QueuesAlike } from '../state/waiting-queues.ts';
import { judge, type BlockerChanges } from './grant.ts';

export interface SlotRules {
  /** All its Pending hosts are judged in this pass anyway. */
  readonly isWhole: (rollout: RolloutState) => boolean;
  /** Is judged in this pass anyway, in its own turn. */
  readonly isTaken: (rollout: RolloutState, hostname: string) => boolean;
  readonly comesFirst: (a: RolloutState, b: RolloutState) => number;
}

/** Of queues alike, the one that is asked now; the budget has room for whoever comes first in it, or for none of them. */
interface Line {
  readonly budget: BudgetState;
  readonly alike: QueuesAlike;
  /** Null before any was asked. */
  queue: WaiterQueue | null;
  /** Who comes next of them all; null when nobody does, undefined when that is to be found out. */
  head: Place | null | undefined;
}

interface Place {
  readonly rollout: RolloutState;
  readonly wave: number;
  readonly hostname: string;
}

interface Next extends Place {
  readonly line: Line;
  readonly queue: WaiterQueue;
}

export class FreedSlots {
  private readonly lines: Line[] = [];
  /** Taken out of their queue while this pass looks at them. */
  private readonly stepped: {
    readonly rollout: RolloutState;
    readonly queue: WaiterQueue;
    readonly hostname: string;
  }[] = [];
  /** Found already, and not judged yet. */
  private known: Next | null = null;
  private readonly state: FleetState;
  private readonly rules: SlotRules;

  constructor(state: FleetState, budgets: ReadonlySet<string>, rules: SlotRules) {
    this.state = state;
    this.rules = rules;
    for (const key of budgets) {
      const budget = state.budgets.get(key);
      if (budget === undefined) continue;
      for (const alike of budget.queues.allowing(budget.inFlight.size + 1))
        this.lines.push({ budget, alike, queue: null, head: undefined });
    }
  }

  /**
   * Judges the next who may have a slot and comes before this host of `rollout` (null: whoever it is); false
   * when there is none.
   */
  judgeNext(
    rollout: RolloutState | null,
    hostname: string,
    pass: Pass,
    changes: BlockerChanges,
  ): boolean {
    const next = this.next();
    if (next === null) return false;
    const wave = rollout?.records.get(hostname)?.wave ?? 0;
    if (rollout !== null && this.compare(next, { rollout, wave, hostname }) >= 0) return false;
    this.step(next.rollout, next.queue, next.hostname);
    next.line.head = undefined;
    this.known = null;
    judge(pass, next.rollout, next.hostname, changes);
    return true;
  }

  /** Puts back those who still wait for what they waited for. */
  close(): void {
    for (const { rollout, queue, hostname } of this.stepped) {
      const gates = rollout.blockers.get(hostname)?.gates ?? [];
      if (gates.length !== 1 || !gates[0]?.endsWith(`:${String(queue.index)}`)) continue;
      queue.add(hostname, rollout.records.get(hostname)?.wave ?? 0);
      noteQueue(this.state, rollout, queue);
    }
  }

  /** A pass takes slots and frees none: whoever had no room once has none until its end. */
  private next(): Next | null {
    if (this.known !== null && hasRoom(this.known.line)) return this.known;
    let best: Next | null = null;
    for (const line of this.lines) {
      if (!hasRoom(line)) continue;
      if (line.head === undefined) line.head = this.headOf(line);
      const { head, queue } = line;
      if (head === null || queue === null) continue;
      if (best === null || this.compare(head, best) < 0) best = { ...head, line, queue };
    }
    return (this.known = best);
  }

  private headOf(line: Line): Place | null {
    const { queues } = line.alike;
    let queue = line.queue ?? queueAfter(queues, null);
    while (queue !== undefined) {
      line.queue = queue;
      const head = this.firstIn(queue);
      if (head !== null) return head;
      queue = queueAfter(queues, queue);
    }
    return null;
  }

  private firstIn(queue: WaiterQueue): Place | null {
    const rollout = this.state.live.get(queue.rolloutId);
    if (rollout === undefined || this.rules.isWhole(rollout)) return null;
    for (let head = queue.first(); head !== null; head = queue.first()) {
      if (!this.rules.isTaken(rollout, head.hostname)) return { rollout, ...head };
      this.step(rollout, queue, head.hostname);
    }
    return null;
  }

  private step(rollout: RolloutState, queue: WaiterQueue, hostname: string): void {
    queue.remove(hostname);
    noteQueue(this.state, rollout, queue);
    this.stepped.push({ rollout, queue, hostname });
  }

  private compare(a: Place, b: Place): number {
    if (a.rollout !== b.rollout) return this.rules.comesFirst(a.rollout, b.rollout);
    return a.wave - b.wave || (a.hostname < b.hostname ? -1 : a.hostname > b.hostname ? 1 : 0);
  }
}

function hasRoom({ budget, alike }: Line): boolean {
  return budget.inFlight.size < alike.limit;
}
