/**
 * Hands slots that became free to those who wait for them, in the order in which a pass over everybody
 * would: by channel, rollout, wave and name. Only the next in each queue is looked at, however many wait.
 */
import type { Pass } from '../pass.ts';
import { noteQueue } from '../state/flight.ts';
import type { BudgetState, FleetState, RolloutState } from '../state/state.ts';
import type { WaiterQueue } from '../state/waiters.ts';
import { judge, type BlockerChanges } from './grant.ts';

export interface SlotRules {
  /** All its Pending hosts are judged in this pass anyway. */
  readonly isWhole: (rollout: RolloutState) => boolean;
  /** Is judged in this pass anyway, in its own turn. */
  readonly isTaken: (rollout: RolloutState, hostname: string) => boolean;
  readonly hasRoom: (rollout: RolloutState, index: number, hostname: string) => boolean;
  readonly comesFirst: (a: RolloutState, b: RolloutState) => number;
}

interface Line {
  readonly rollout: RolloutState;
  readonly queue: WaiterQueue;
  readonly budget: BudgetState;
}

interface Place {
  readonly rollout: RolloutState;
  readonly wave: number;
  readonly hostname: string;
}

export class FreedSlots {
  private readonly lines: Line[] = [];
  /** Taken out of their queue while this pass looks at them. */
  private readonly stepped: (Line & { readonly hostname: string })[] = [];
  private readonly state: FleetState;
  private readonly rules: SlotRules;

  constructor(state: FleetState, budgets: ReadonlySet<string>, rules: SlotRules) {
    this.state = state;
    this.rules = rules;
    for (const key of budgets) {
      const budget = state.budgets.get(key);
      if (budget === undefined || isFull(budget)) continue;
      for (const queue of budget.queues) {
        const rollout = state.live.get(queue.rolloutId);
        if (rollout !== undefined && !rules.isWhole(rollout))
          this.lines.push({ rollout, queue, budget });
      }
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
    if (this.lines.length === 0) return false;
    const next = this.next();
    if (next === null) return false;
    const wave = rollout?.records.get(hostname)?.wave ?? 0;
    if (rollout !== null && this.compare(next, { rollout, wave, hostname }) >= 0) return false;
    this.step(next.line, next.hostname);
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

  private next(): (Place & { readonly line: Line }) | null {
    let best: (Place & { readonly line: Line }) | null = null;
    for (const line of this.lines) {
      const found = this.headOf(line);
      if (found !== null && (best === null || this.compare(found, best) < 0)) best = found;
    }
    return best;
  }

  private headOf(line: Line): (Place & { readonly line: Line }) | null {
    const { rollout, queue, budget } = line;
    if (isFull(budget)) return null;
    for (let head = queue.first(); head !== null; head = queue.first()) {
      if (!this.rules.isTaken(rollout, head.hostname)) {
        const room = this.rules.hasRoom(rollout, queue.index, head.hostname);
        return room ? { rollout, wave: head.wave, hostname: head.hostname, line } : null;
      }
      this.step(line, head.hostname);
    }
    return null;
  }

  private step(line: Line, hostname: string): void {
    line.queue.remove(hostname);
    noteQueue(this.state, line.rollout, line.queue);
    this.stepped.push({ ...line, hostname });
  }

  private compare(a: Place, b: Place): number {
    if (a.rollout !== b.rollout) return this.rules.comesFirst(a.rollout, b.rollout);
    return a.wave - b.wave || (a.hostname < b.hostname ? -1 : a.hostname > b.hostname ? 1 : 0);
  }
}

/** Full by every limit of a rollout that may still grant: the rule for most budgets most of the time. */
function isFull({ inFlight, granting }: BudgetState): boolean {
  for (const limit of granting.keys()) if (inFlight.size < limit) return false;
  return true;
}
