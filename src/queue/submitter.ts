/**
 * The one way into the queue, for API and workers alike: an input becomes durable, and the caller learns
 * what became of it if that is known in time.
 *
 * Answers: `judged` (decided, with the verdict), `queued` (durable, undecided within the wait), `unavailable`
 * (not accepted: the sender keeps it and tries again later). `invalid`: the database can never store it.
 * A connection that breaks in the middle also answers `unavailable` though the input may be stored, and so does a database
 * that gives way to another: a repeat gets its own verdict ("duplicate") from the reducer, so nobody needs to know.
 */
import { confirmed, noteUnconfirmed } from '../db/confirmed.ts';
import { databaseProblem, isDataError } from '../db/errors.ts';
import type { DatabaseOptions } from '../db/driver.ts';
import type { Listener } from '../db/listen.ts';
import { createPool, type Pool } from '../db/pool.ts';
import { STATEMENT_BYTES } from '../db/slow-link.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import type { StoredInput } from '../wire/input.ts';
import { gathered, insertInputs, type GatheredInput } from './enqueue.ts';
import { createGatherer, type Gatherer } from './gather.ts';
import { createKeyedEntrance, type KeyedRequest, type KeyedResult } from './keyed.ts';
import { createQueueGate, type Obstacle, type QueueGate, type QueueLimits } from './gate.ts';
import { createVerdictReader, type Judged, type VerdictReader } from './verdicts.ts';

export type Unavailable = 'queue-full' | 'database-away' | 'draining';

export type SubmitResult =
  | Judged
  | { readonly status: 'queued' }
  | { readonly status: 'invalid'; readonly detail: string }
  | { readonly status: 'unavailable'; readonly why: Unavailable; readonly retryAfterSecs: number };

/** Of an operator's command: what the queue made of it, and of its key. */
export type CommandResult =
  | Exclude<KeyedResult, { readonly status: 'away' }>
  | Extract<SubmitResult, { readonly status: 'unavailable' }>;

export interface SubmitOptions {
  /** Milliseconds to wait for the verdict, from the call on; 0: answer when durable. */
  readonly waitMs: number;
}

export interface Submitter {
  submit(input: StoredInput, options: SubmitOptions): Promise<SubmitResult>;
  /** A command under its key: carried out once, and answered alike however often it is sent. */
  submitKeyed(request: KeyedRequest, options: SubmitOptions): Promise<CommandResult>;
  /** Why no input could be taken now; null: it could. For readiness; looks at the database if it has not lately. */
  obstacle(): Promise<Obstacle | null>;
  /** Takes nothing more; resolves when what it holds is stored and answered. */
  drain(): Promise<void>;
  /** After `drain`: ends its connections. */
  end(): Promise<void>;
}

export interface SubmitterOptions {
  readonly database: DatabaseOptions;
  /** Name of this process; verdicts are addressed to it. */
  readonly replica: string;
  readonly listener: Listener;
  readonly limits: QueueLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** 0 ≤ x < 1; spreads retries. */
  readonly random: () => number;
}

/** A gathered insert takes milliseconds; agents give up after 10 s. */
const INSERT_MS = 3_000;
/** Verdict reads and gauges. */
const READ_MS = 2_000;
/** Payloads held before PostgreSQL takes them: as text, escaped and encoded some 200 MB at the worst. */
const HELD_BYTES = 32_000_000;
/** Callers waiting for a verdict, some 0.5 kB each; beyond it the answer is `queued` at once. */
const MOST_WAITING = 100_000;
/** Commands under way: one connection does some hundred in a second, and the last is to be stored before its caller gives up. */
const HELD_COMMANDS = 500;
/** Seconds: from the first to the sum, which HTTP stretches by up to half (`api/errors.ts`), so that refused callers do not return together. */
const RETRY: Readonly<Record<Unavailable, readonly [number, number]>> = {
  'queue-full': [2, 8],
  'database-away': [2, 6],
  draining: [1, 2],
};

/**
 * A plan for each commit that is read would cost as much as the reading. What is read is found by key, in tables of which some rows
 * are new at each look, whatever their statistics say.
 */
const READER_SETTINGS = { plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' } as const;

export function createSubmitter(options: SubmitterOptions): Submitter {
  const { database, limits, clock, logger, metrics } = options;
  const writer = createPool(database, { role: 'enqueue', max: 1, statementMs: INSERT_MS });
  const reader = createPool(database, {
    ...{ role: 'verdicts', max: 2, statementMs: READ_MS },
    settings: READER_SETTINGS,
  });
  const verdicts = createVerdictReader({ ...options, pool: reader });
  const gate = createQueueGate({ pool: reader, limits, clock, logger, metrics });
  const keyed = createKeyedEntrance(options);
  const gatherer = createGatherer(
    { items: limits.batchRows, size: STATEMENT_BYTES, sizeOf: ({ bytes }) => bytes },
    inserter(options, writer, verdicts),
  );
  for (const by of ['inputs', 'commands', 'offers']) {
    metrics.count('muster_database_unconfirmed_commits_total', { by }, 0);
  }
  metrics.watch('muster_queue_held_rows', () => gatherer.held);
  metrics.watch('muster_queue_held_bytes', () => gatherer.heldSize);
  metrics.watch('muster_queue_early_verdicts', () => verdicts.early);
  const entrance: Entrance = { ...options, verdicts, gate, gatherer, draining: false };
  return {
    submit: (input, { waitMs }) => submitTo(entrance, input, waitMs),
    async submitKeyed(request, { waitMs }) {
      if (entrance.draining) return refuse(entrance, 'draining');
      if (gate.isFull() || keyed.held >= HELD_COMMANDS) return refuse(entrance, 'queue-full');
      const started = clock.monotonic();
      const result = await keyed.submit(request, waitMs);
      if (result.status === 'away') return refuse(entrance, 'database-away');
      noteCommand(entrance, result, clock.monotonic() - started);
      return result;
    },
    obstacle: async () => (entrance.draining ? { why: 'draining' } : gate.look()),
    async drain() {
      entrance.draining = true;
      await gatherer.idle();
    },
    end: () =>
      endAll([writer, reader, keyed], () => {
        verdicts.stop();
      }),
  };
}

interface Entrance extends SubmitterOptions {
  readonly verdicts: VerdictReader;
  readonly gate: QueueGate;
  readonly gatherer: Gatherer<GatheredInput, number>;
  draining: boolean;
}

/** Stores one gathered batch. */
function inserter(
  { replica, metrics }: SubmitterOptions,
  writer: Pool,
  verdicts: VerdictReader,
): (inputs: readonly GatheredInput[]) => Promise<readonly number[]> {
  return async (inputs) => {
    const end = await verdicts.beginInsert();
    try {
      const ids = await confirmed(writer, (sql) => insertInputs(sql, inputs, replica));
      metrics.observe('muster_queue_gathered_rows', {}, inputs.length);
      return ids;
    } catch (error) {
      noteUnconfirmed(metrics, 'inputs', error);
      throw error;
    } finally {
      // The waiters of this batch are known one turn after it answers; till then early verdicts are kept.
      setImmediate(end);
    }
  };
}

async function submitTo(
  entrance: Entrance,
  input: StoredInput,
  waitMs: number,
): Promise<SubmitResult> {
  const { gatherer, gate, limits, clock, metrics, verdicts } = entrance;
  if (entrance.draining) return refuse(entrance, 'draining');
  const full = gatherer.held >= limits.heldRows || gatherer.heldSize >= HELD_BYTES;
  if (full || gate.isFull()) return refuse(entrance, 'queue-full');
  const started = clock.monotonic();
  const waits = waitMs > 0 && verdicts.waiting < MOST_WAITING;
  const stored = await store(entrance, input, waits);
  if (typeof stored !== 'number') return stored;
  const left = waitMs - (clock.monotonic() - started);
  const judged = waits && left > 0 ? await verdicts.wait(stored, left) : null;
  if (judged === 'gone') return refuse(entrance, 'database-away');
  const outcome = judged === null ? 'queued' : 'judged';
  metrics.count('muster_queue_inputs_total', { outcome });
  if (judged !== null) {
    metrics.observe('muster_queue_verdict_seconds', {}, (clock.monotonic() - started) / 1_000);
  }
  return judged ?? { status: 'queued' };
}

/** The id of the stored input, or why it was not stored. */
async function store(
  entrance: Entrance,
  input: StoredInput,
  waits: boolean,
): Promise<number | SubmitResult> {
  const { gatherer, gate, logger, metrics } = entrance;
  try {
    const id = await gatherer.add(gathered(input, waits));
    gate.stored();
    return id;
  } catch (error) {
    if (isDataError(error)) {
      metrics.count('muster_queue_inputs_total', { outcome: 'invalid' });
      return { status: 'invalid', detail: databaseProblem(error) };
    }
    gate.failed(error);
    logger.warn({ problem: databaseProblem(error), kind: input.kind }, 'an input was not stored');
    return refuse(entrance, 'database-away');
  }
}

/** A repeat hands nothing to the queue, and its verdict is as old as the first. */
function noteCommand(
  { metrics }: Entrance,
  { status, repeated }: Exclude<KeyedResult, { readonly status: 'away' }>,
  ms: number,
): void {
  const outcome = repeated && status !== 'reused' ? 'repeated' : status;
  metrics.count('muster_queue_inputs_total', { outcome });
  if (outcome === 'judged') metrics.observe('muster_queue_verdict_seconds', {}, ms / 1_000);
}

function refuse(
  { random, metrics }: Entrance,
  why: Unavailable,
): Extract<SubmitResult, { readonly status: 'unavailable' }> {
  const [least, spread] = RETRY[why];
  const retryAfterSecs = least + Math.floor(random() * (spread + 1));
  metrics.count('muster_queue_inputs_total', { outcome: why });
  return { status: 'unavailable', why, retryAfterSecs };
}

async function endAll(pools: readonly Pick<Pool, 'end'>[], stop: () => void): Promise<void> {
  stop();
  await Promise.all(pools.map((pool) => pool.end()));
}
