/**
 * Is there room in the queue? Looked up at most twice a second while inputs come, in the background: a
 * caller never waits for it. Between two looks at most half a second of inputs can exceed the limit.
 */
import { areNotificationsFull, databaseProblem } from '../db/errors.ts';
import { tryNotify } from '../db/notifications.ts';
import type { Pool } from '../db/pool.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { readGauge, type QueueGauge } from './enqueue.ts';

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

/** Why no input could be taken just now. */
export type Obstacle =
  | { readonly why: 'draining' }
  | { readonly why: 'database'; readonly error: unknown }
  /** It answers, and would store nothing: the SQLSTATE of a standby or a read-only session, or of a login without the right. */
  | { readonly why: 'refused'; readonly state: '25006' | '42501' }
  /** `most`: of rows, bytes or milliseconds. */
  | { readonly why: 'full'; readonly by: 'rows' | 'bytes' | 'age'; readonly most: number };

export interface QueueGate {
  isFull(): boolean;
  /** The database just failed: the next look must say whether it is back. */
  failed(error: unknown): void;
  /** Looks unless it did lately; null: reachable and not full. */
  look(): Promise<Obstacle | null>;
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

type Full = Extract<Obstacle, { readonly why: 'full' }>;

function refusal({ readOnly, mayStore }: QueueGauge): Obstacle | null {
  if (readOnly) return { why: 'refused', state: '25006' };
  return mayStore ? null : { why: 'refused', state: '42501' };
}

/** Which limit is reached. */
function fullBy({ rows, bytes, oldestMs }: QueueGauge, limits: QueueLimits): Full | null {
  const { queueRows, queueAgeMs } = limits;
  if (rows >= queueRows) return { why: 'full', by: 'rows', most: queueRows };
  const most = queueRows * ROW_BYTES;
  if (bytes >= most) return { why: 'full', by: 'bytes', most };
  return oldestMs >= queueAgeMs ? { why: 'full', by: 'age', most: queueAgeMs } : null;
}

export function createQueueGate({ pool, limits, clock, logger, metrics }: GateOptions): QueueGate {
  let full: Full | null = null;
  let trouble: Obstacle | null = null;
  /** What was logged last of a database that does not answer. */
  let told: string | null = null;
  /** Inputs are stored by transactions that notify; until one commits again, a look that only reads says nothing of them. */
  let mute = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;

  const muteness = async (): Promise<Obstacle | null> => {
    if (!mute) return null;
    try {
      await pool.run(tryNotify);
      mute = false;
      return null;
    } catch (error) {
      if (!areNotificationsFull(error)) throw error;
      return { why: 'database', error };
    }
  };
  const read = async (): Promise<void> => {
    try {
      const gauge = await pool.run((sql) => readGauge(sql, limits.queueRows));
      const was = full;
      full = fullBy(gauge, limits);
      trouble = refusal(gauge) ?? (await muteness());
      told = null;
      metrics.set('muster_queue_rows', {}, gauge.rows);
      metrics.set('muster_queue_bytes', {}, gauge.bytes);
      metrics.set('muster_queue_oldest_seconds', {}, gauge.oldestMs / 1_000);
      if (full !== null && was === null)
        logger.warn({ ...gauge, ...limits }, 'the queue is full: inputs get 503');
    } catch (error) {
      const problem = databaseProblem(error);
      if (problem !== told) logger.warn({ problem }, 'the queue cannot be looked at');
      told = problem;
      trouble = { why: 'database', error };
    } finally {
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
      return full !== null;
    },
    failed(error) {
      mute ||= areNotificationsFull(error);
      trouble = { why: 'database', error };
    },
    async look() {
      await lookIfDue();
      return trouble ?? full;
    },
  };
}
