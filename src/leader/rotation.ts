/**
 * When the queue's ring is rotated: once the batches have crossed into another slot, and from then on until no drained
 * slot is left. Beside the work, never in it: no batch waits for it, and no term ends by it.
 */
import { databaseProblem } from '../db/errors.ts';
import { rotate, slotOf } from '../queue/ring.ts';
import type { TermOptions } from './term.ts';

/** A slot is hit upon while somebody reads it: the next moment will do, of which a slot's filling has hundreds. */
const FIRST_MS = 20;
/** Somebody holds on to it, such as a dump: what he costs is one statement now and then. */
const MOST_MS = 5_000;
/** What fails, such as for want of a right, fails again: it is said once a minute. */
const FAILED_MS = 60_000;

export const ROTATIONS = ['emptied', 'locked', 'failed'] as const;

export class Rotation {
  private readonly options: TermOptions;
  private slot: number | null = null;
  private isDue = false;
  private isRunning = false;
  /** By the monotonic clock. */
  private notBefore = 0;
  private pauseMs = FIRST_MS;

  constructor(options: TermOptions) {
    this.options = options;
  }

  /** After a commit, with the inputs that it removed. */
  after(ids: readonly number[]): void {
    const last = ids.at(-1);
    if (last === undefined) return;
    // The first of a term, too: the one before may have left something.
    if (slotOf(last) !== this.slot) this.isDue = true;
    this.slot = slotOf(last);
    if (!this.isDue || this.isRunning) return;
    if (this.options.clock.monotonic() < this.notBefore) return;
    this.isRunning = true;
    void this.run();
  }

  private async run(): Promise<void> {
    const { pool, metrics, logger, clock } = this.options;
    try {
      const { emptied, locked, waiting } = await pool.run(rotate);
      metrics.count('muster_queue_rotations_total', { outcome: 'emptied' }, emptied);
      metrics.count('muster_queue_rotations_total', { outcome: 'locked' }, locked);
      this.isDue = emptied + locked + waiting > 0;
      const isInVain = this.isDue && emptied === 0;
      this.pauseMs = isInVain ? Math.min(2 * this.pauseMs, MOST_MS) : FIRST_MS;
    } catch (error) {
      metrics.count('muster_queue_rotations_total', { outcome: 'failed' });
      logger.warn({ problem: databaseProblem(error) }, 'drained slots of the queue stay');
      this.pauseMs = FAILED_MS;
    }
    this.isRunning = false;
    this.notBefore = clock.monotonic() + this.pauseMs;
  }
}
