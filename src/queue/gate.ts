/**
 * Is there room in the queue? Looked up at most twice a second while inputs come, in the background: a
 * caller never waits for it. Between two looks at most half a second of inputs can exceed the limit.
 */
import { confirmed } from '../db/confirmed.ts';
import { DeadlineError } from '../db/deadline.ts';
import { databaseProblem, NotConfirmedError, sqlState } from '../db/errors.ts';
import { tryCommit } from '../db/notifications.ts';
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
  /** It answers, and a commit does not end. */
  | { readonly why: 'hangs' }
  /** It answers, and would store nothing: the SQLSTATE of a standby or a read-only session, or of a login without the right. */
  | { readonly why: 'refused'; readonly state: '25006' | '42501' }
  /** `most`: of rows, bytes or milliseconds. */
  | { readonly why: 'full'; readonly by: 'rows' | 'bytes' | 'age'; readonly most: number };

export interface QueueGate {
  isFull(): boolean;
  /** The database just failed: the next look must say whether it is back. */
  failed(error: unknown): void;
  /** An input was stored. */
  stored(): void;
  /** Looks unless it did lately, and waits for that unless trouble is known; null: reachable and not full. */
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
/** Who stores nothing for so long tries a commit at its next look: one of a few bytes, twice a minute where probes ask. */
const PROVEN_MS = 30_000;
/** What a row of the queue may hold on average: ordinary ones have some 300 bytes, the largest 256 KiB. */
export const ROW_BYTES = 4_096;

/** For a log line, and for whoever asks whether this process is ready. */
export const COMMITS_HANG =
  'the database answers, and commits do not end: as a rule a synchronous standby is away, which is to come back or to be taken out of synchronous_standby_names; "muster doctor" tells';

type Full = Extract<Obstacle, { readonly why: 'full' }>;

const QUERY_CANCELED = '57014';

function isUnanswered(error: unknown): boolean {
  return (
    error instanceof DeadlineError ||
    error instanceof NotConfirmedError ||
    // What an insert needs first may be behind such a commit.
    sqlState(error) === QUERY_CANCELED
  );
}

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

function measure(metrics: Metrics, { rows, bytes, oldestMs }: QueueGauge): void {
  metrics.set('muster_queue_rows', {}, rows);
  metrics.set('muster_queue_bytes', {}, bytes);
  metrics.set('muster_queue_oldest_seconds', {}, oldestMs / 1_000);
}

export function createQueueGate({ pool, limits, clock, logger, metrics }: GateOptions): QueueGate {
  let full: Full | null = null;
  let trouble: Obstacle | null = null;
  /** What was logged last of what is wrong. */
  let told: string | null = null;
  /**
   * When an input was stored last: by a transaction that notifies, and waits for a synchronous standby. Of those a look that
   * only reads says nothing; none counts once another failed.
   */
  let provenAt = Number.NEGATIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;

  const commits = async (): Promise<Obstacle | null> => {
    if (clock.monotonic() - provenAt < PROVEN_MS) return null;
    try {
      await confirmed(pool, tryCommit);
      provenAt = clock.monotonic();
      return null;
    } catch (error) {
      return isUnanswered(error) ? { why: 'hangs' } : { why: 'database', error };
    }
  };
  const tell = (problem: string | null): void => {
    if (problem !== null && problem !== told)
      logger.warn({ problem }, 'inputs cannot be stored, or the queue cannot be looked at');
    told = problem;
  };
  const read = async (): Promise<void> => {
    try {
      const gauge = await pool.run((sql) => readGauge(sql, limits.queueRows));
      const was = full;
      full = fullBy(gauge, limits);
      measure(metrics, gauge);
      if (full !== null && was === null)
        logger.warn({ ...gauge, ...limits }, 'the queue is full: inputs get 503');
      trouble = refusal(gauge) ?? (await commits());
      tell(trouble?.why === 'hangs' ? COMMITS_HANG : null);
    } catch (error) {
      tell(databaseProblem(error));
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
      provenAt = Number.NEGATIVE_INFINITY;
      // What a look found out says more than that there was no answer once more.
      if (trouble?.why !== 'hangs' || !isUnanswered(error)) trouble = { why: 'database', error };
    },
    stored() {
      provenAt = clock.monotonic();
    },
    async look() {
      const looked = lookIfDue();
      if (trouble === null) await looked;
      return trouble ?? full;
    },
  };
}
