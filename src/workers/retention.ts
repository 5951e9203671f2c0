/** Makes log partitions ahead of need, sweeps what nobody asks for again, and expires old rollouts. */
import { makePartitions, readExpiredRollouts, sweep } from '../db/housekeeping.ts';
import type { Pool } from '../db/pool.ts';
import type { Task, WorkerContext } from './worker.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A verdict is waited for seconds; minutes cover every retry. */
const VERDICT_MS = 5 * MINUTE_MS;
/** Idempotency keys are promised for seven days. */
const KEY_MS = 7 * DAY_MS;
/** Two partitions ahead of the head: days of events for the largest fleet. */
const AHEAD_ROWS = 2_000_000;
/** Rollouts expired in one run: each is one input, and there is no hurry. */
const EXPIRED_PER_RUN = 20;

export interface RetentionOptions {
  readonly pool: Pool;
  readonly retentionDays: number;
}

export function retention(context: WorkerContext, { pool, retentionDays }: RetentionOptions): Task {
  return {
    name: 'retention',
    everyMs: MINUTE_MS,
    async run() {
      await makePartitions(pool, AHEAD_ROWS);
      await sweep(pool, { verdicts: VERDICT_MS, keys: KEY_MS });
      const expired = await readExpiredRollouts(pool, retentionDays * DAY_MS, EXPIRED_PER_RUN);
      for (const rolloutId of expired)
        await context.submit({ kind: 'RetentionExpired', rolloutId });
    },
  };
}
