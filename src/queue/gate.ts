/**
 * Is there room in the queue? Looked up at most twice a second while inputs come, in the background: a
 * caller never waits for it. Between two looks at most half a second of inputs can exceed the limit.
 */
import { databaseProblem } from '../db/errors.ts';
import type { Pool } from '../db/pool.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { readGauge } from './enqueue.ts';

export interface QueueLimits {
  /** Rows that may wait for the leader, of all replicas together; as many times `ROW_BYTES` of payload. */
  readonly queueRows: number;
  /** Milliseconds: age of the oldest waiting row. */
  readonly queueAgeMs: number;
  /** Inputs that this process may hold in memory. */
  readonly heldRows: number;
  /** Inputs in one statement. */
  readonly batchRows: number;
}

export interface QueueGate {
  isFull(): boolean;
  /** The database just failed: the next look must say whether it is back. */
  failed(): void;
  /** Looks unless it did lately; true: reachable and not full. */
  look(): Promise<boolean>;
}

interface GateOptions {
  readonly pool: Pool;
  readonly limits: QueueLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const LOOK_EVERY_MS = 500;
/** What a row of the queue may hold on average: ordinary ones have some 300 bytes, the largest 256 KiB. */
export const ROW_BYTES = 4_096;

export function createQueueGate({ pool, limits, clock, logger, metrics }: GateOptions): QueueGate {
  let full = false;
  let reachable = false;
  let looked = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;

  const read = async (): Promise<void> => {
    try {
      const gauge = await pool.run((sql) => readGauge(sql, limits.queueRows));
      const was = full;
      full =
        gauge.rows >= limits.queueRows ||
        gauge.bytes >= limits.queueRows * ROW_BYTES ||
        gauge.oldestMs >= limits.queueAgeMs;
      reachable = true;
      metrics.set('muster_queue_rows', {}, gauge.rows);
      metrics.set('muster_queue_bytes', {}, gauge.bytes);
      metrics.set('muster_queue_oldest_seconds', {}, gauge.oldestMs / 1_000);
      if (full && !was) logger.warn({ ...gauge, ...limits }, 'the queue is full: inputs get 503');
    } catch (error) {
      if (reachable || !looked) {
        logger.warn({ problem: databaseProblem(error) }, 'the queue cannot be looked at');
      }
      reachable = false;
    } finally {
      looked = true;
      lookedAt = clock.monotonic();
      looking = null;
    }
  };
  const lookIfDue = (): Promise<void> => {
    if (looking === null && clock.monotonic() - lookedAt >= LOOK_EVERY_MS) looking = read();
    return looking ?? Promise.resolve();
  };
  return {
    isFull() {
      void lookIfDue();
      return full;
    },
    failed() {
      reachable = false;
    },
    async look() {
      await lookIfDue();
      return reachable && !full;
    },
  };
}
