/**
 * Notices that the newest row of the log is later than the database's clock: that clock was set back, or some leader once
 * went by one that was ahead. What is logged never becomes earlier, so everything is dated alike until the clock has
 * passed that row, and meanwhile no time passes: soaks do not end, and what is signed now counts as old.
 */
import { LOG_AHEAD_SECONDS } from '../db/measure.ts';
import { timeOf, type Millis } from '../reducer/time.ts';
import type { TermOptions } from './term.ts';

const AHEAD_MS = LOG_AHEAD_SECONDS * 1_000;

export class LogAhead {
  private readonly options: Pick<TermOptions, 'clock' | 'logger'>;
  private told = false;

  constructor(options: Pick<TermOptions, 'clock' | 'logger'>) {
    this.options = options;
  }

  /** After a commit: once until it is over. */
  look(lastTs: Millis): void {
    const { clock, logger } = this.options;
    const ahead = lastTs - clock.now();
    if (ahead > AHEAD_MS && !this.told) {
      logger.warn(
        { logged: timeOf(lastTs), seconds: Math.round(ahead / 1_000) },
        "the log is ahead of the database's clock, and time stands still until that has passed its newest row: see docs/operations/log-ahead.md",
      );
    }
    if (this.told && ahead <= 0) logger.info({}, "the log is behind the database's clock again");
    this.told = this.told ? ahead > 0 : ahead > AHEAD_MS;
  }
}
