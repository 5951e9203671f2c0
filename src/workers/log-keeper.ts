/**
 * Watches over the log itself: says its head now and then, to be kept elsewhere, so that a log rewritten from
 * end to end is noticed; takes snapshots; and detaches what is beyond its bounds, but only below a snapshot
 * that was folded from the log and found equal, and never the partition that the head is in.
 */
import { appendFile } from 'node:fs/promises';
import type { Task, WorkerContext } from './worker.ts';

/** What it needs of the log; `src/eventlog/keep.ts` has it. */
export interface LogParts {
  checkpoint(): Promise<{
    readonly incarnation: string;
    readonly seq: number;
    readonly hash: string;
  } | null>;
  snapshot(rows: number): Promise<number | null>;
  isDue(bounds: {
    readonly keepMs: number | null;
    readonly mostBytes: number | null;
  }): Promise<boolean>;
  prove(): Promise<{
    readonly wrong: string | null;
    readonly passedOver: readonly number[];
    readonly notCompared: readonly string[];
  }>;
  detach(): Promise<string | null>;
  unexported(): Promise<string[]>;
  export(name: string, folder: string): Promise<string>;
  sweep(): Promise<number>;
}

export interface LogKeeperOptions {
  readonly log: LogParts;
  readonly everyMs: number;
  /** A file, to which a line is appended, or an http(s) URL, to which it is posted; null: the process log only. */
  readonly checkpointTo: string | null;
  /** Null: for ever. */
  readonly keepDays: number | null;
  /** Null: any size. */
  readonly mostBytes: number | null;
  /** Folder for detached partitions; null: they stay tables. */
  readonly exportDir: string | null;
}

const DAY_MS = 24 * 60 * 60_000;
/**
 * One a partition: a replay folds half a million rows on the average, some ten seconds. Proving one takes twice
 * that, in slices: less than a hundredth of the time in which a busy fleet writes them.
 */
const ROWS_PER_SNAPSHOT = 1_000_000;
/** Whoever takes checkpoints takes them at once; we have other work. */
const POST_MS = 10_000;

export function logKeeper(context: WorkerContext, options: LogKeeperOptions): Task {
  let said = 0;
  return {
    name: 'log',
    everyMs: options.everyMs,
    async run(signal) {
      await doEach([
        async () => {
          said = await sayHead(context, options, said);
        },
        async () => {
          const taken = await options.log.snapshot(ROWS_PER_SNAPSHOT);
          if (taken !== null) await judge(context, options, taken);
        },
        () => detachOld(context, options, signal),
        () => exportDetached(context, options, signal),
      ]);
    },
  };
}

/** None is kept from being done by one that fails before it: where checkpoints go may be away for days. */
async function doEach(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const reasons: string[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (reasons.length > 0) throw new Error(reasons.join('; '));
}

/** What is wrong, or null. Says where it could not look, or had to look further: another version kept this log. */
async function prove(
  { log: logger }: WorkerContext,
  { log }: LogKeeperOptions,
): Promise<string | null> {
  const { wrong, passedOver, notCompared } = await log.prove();
  if (passedOver.length > 0)
    logger.info(
      { passedOver },
      'snapshots of an older version lack columns of this one: the log was folded from before them',
    );
  if (notCompared.length > 0)
    logger.warn(
      { notCompared },
      'the snapshot that the log begins after is of an older version and lacks columns, which were not compared this once',
    );
  return wrong;
}

/** Only a proven snapshot is good to begin with. One that is not equal is a copy of damage. */
async function judge(
  context: WorkerContext,
  options: LogKeeperOptions,
  seq: number,
): Promise<void> {
  const { log: logger } = context;
  const { log } = options;
  const wrong = await prove(context, options);
  if (wrong !== null)
    logger.error(
      { seq, wrong },
      'the tables are not what the log folds to: see muster replay --verify',
    );
  await log.sweep();
}

async function sayHead(
  { log: logger }: WorkerContext,
  { log, checkpointTo }: LogKeeperOptions,
  said: number,
): Promise<number> {
  const head = await log.checkpoint();
  if (head === null || head.seq === said) return said;
  const checkpoint = `${head.incarnation}:${head.seq}:${head.hash}`;
  logger.info({ checkpoint }, 'head of the event log');
  if (checkpointTo !== null) {
    await sendTo(checkpointTo, checkpoint).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`MUSTER_CHECKPOINT_TO took no checkpoint: ${reason}`, { cause: error });
    });
  }
  return head.seq;
}

async function sendTo(place: string, line: string): Promise<void> {
  if (!/^https?:/.test(place)) {
    await appendFile(place, `${line}\n`);
    return;
  }
  const response = await fetch(place, {
    method: 'POST',
    body: `${line}\n`,
    headers: { 'content-type': 'text/plain' },
    signal: AbortSignal.timeout(POST_MS),
  });
  if (!response.ok) throw new Error(`checkpoints are refused with ${response.status}`);
}

async function exportDetached(
  { log: logger }: WorkerContext,
  { log, exportDir }: LogKeeperOptions,
  signal: AbortSignal,
): Promise<void> {
  if (exportDir === null) return;
  for (const name of await log.unexported()) {
    if (signal.aborted) return;
    const file = await log.export(name, exportDir);
    logger.info({ name, file }, 'a detached partition of the event log was exported');
  }
}

async function detachOld(
  context: WorkerContext,
  options: LogKeeperOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log: logger } = context;
  const { log, keepDays, mostBytes } = options;
  if (keepDays === null && mostBytes === null) return;
  const keepMs = keepDays === null ? null : keepDays * DAY_MS;
  let proven = false;
  while (!signal.aborted && (await log.isDue({ keepMs, mostBytes }))) {
    if (!proven) {
      await log.snapshot(0);
      const wrong = await prove(context, options);
      if (wrong !== null)
        throw new Error(`nothing is detached, since the fold is not the state: ${wrong}`);
      proven = true;
    }
    const name = await log.detach();
    if (name === null) return;
    logger.info({ name }, 'a partition of the event log was detached');
  }
  if (proven) await log.sweep();
}
