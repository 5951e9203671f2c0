/** The writer's one transaction: which rows it holds, and when anything travelled on it last. */
import type { Millis } from '../../src/reducer/time.ts';

export class Transaction {
  readonly epoch: number;
  readonly locks = new Set<string>();
  isOpen = true;
  touchedAt: Millis;

  constructor(epoch: number, now: Millis) {
    this.epoch = epoch;
    this.touchedAt = now;
  }
}
