/** Runs faults one after the other: load, fault, heal, quiet, check. */
import { setTimeout as delay } from 'node:timers/promises';
import { Bench, type BenchOptions } from './bench/bench.ts';
import { check } from './check.ts';
import type { Fault, Row } from './fault.ts';
import { count, longestSilence, type Attempt } from './load/history.ts';

export interface RunOptions extends BenchOptions {
  readonly onRow: (row: Row) => void;
  /** False: the times are told and not judged, for a machine that does much else. Default true. */
  readonly timed?: boolean;
  /** Aborts between faults, and closes what runs. */
  readonly signal: AbortSignal;
}

/** Fewer events acknowledged before the fault mean that it was tried on an idle system. */
const LOAD_BEFORE = 200;
const LOAD_AFTER = 100;
const LOAD_WITHIN_MS = 30_000;
/** A leader takes its inputs within milliseconds; only a queue that nobody empties takes longer. */
const DRAINED_WITHIN_MS = 20_000;
/** Checks read the whole log: beyond this a new installation is quicker. */
const ROWS_BEFORE_RENEWAL = 20_000;
/** A fault that hangs must not hang the run. */
const FAULT_WITHIN_MS = 120_000;

const NOTHING = { ops: 0, ok: 0, failed: 0, unknown: 0, lost: 0, duplicated: 0, gaps: 0 } as const;

export async function runFaults(faults: readonly Fault[], options: RunOptions): Promise<Row[]> {
  const rows: Row[] = [];
  let shared: Bench | null = null;
  const onAbort = (): void => void shared?.close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const fault of faults) {
      if (options.signal.aborted) break;
      const why = fault.cannot?.() ?? null;
      if (why !== null) {
        rows.push(unbroken(fault, 'skipped', why));
      } else if (fault.start !== undefined) {
        rows.push(await onOwnBench(fault, fault.start, options));
      } else {
        shared ??= await Bench.start(options);
        const row = await breakBench(fault, shared, options);
        rows.push(row);
        if (row.verdict !== 'passed' || (await isWorn(shared))) {
          await shared.close();
          shared = null;
        }
      }
      const last = rows.at(-1);
      if (last !== undefined) options.onRow(last);
    }
    return rows;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    await shared?.close();
  }
}

async function onOwnBench(
  fault: Fault,
  start: (options: BenchOptions) => Promise<Bench>,
  options: RunOptions,
): Promise<Row> {
  let bench: Bench;
  try {
    bench = await start(options);
  } catch (error) {
    return unbroken(fault, 'failed', error instanceof Error ? error.message : String(error));
  }
  try {
    return await breakBench(fault, bench, options);
  } finally {
    await bench.close();
  }
}

async function isWorn({ database }: Bench): Promise<boolean> {
  const [row] = await database.sql<{ head: number }[]>`
    SELECT max(seq)::int AS head FROM event_log`;
  return (row?.head ?? 0) > ROWS_BEFORE_RENEWAL;
}

/** Never rejects: whatever goes wrong is the row's verdict. */
async function breakBench(fault: Fault, bench: Bench, options: RunOptions): Promise<Row> {
  const { history } = bench.load;
  const first = history.attempts.length;
  const from = performance.now();
  let to = from;
  const why: string[] = [];
  try {
    bench.load.start();
    await bench.load.more(LOAD_BEFORE, LOAD_WITHIN_MS);
    await within(fault.run(bench), FAULT_WITHIN_MS);
    await bench.heal();
    await bench.load.more(LOAD_AFTER, LOAD_WITHIN_MS);
    to = performance.now();
    await bench.load.stop();
    await untilDrained(bench);
    const found = await check(bench.database, history.attempts, { dead: bench.planted });
    const outageMs = Math.round(longestSilence(history.attempts.slice(first), from, to));
    why.push(...found.wrong, ...(options.timed === false ? [] : tooLong(fault, outageMs)));
    return rowOf(
      fault,
      history.attempts.slice(first),
      { ...found, outageMs, notes: bench.notes.splice(0) },
      why,
    );
  } catch (error) {
    why.push(error instanceof Error ? error.message : String(error));
    const outageMs = Math.round(longestSilence(history.attempts.slice(first), from, to));
    const unknown = { lost: 0, duplicated: 0, gaps: 0, outageMs, notes: bench.notes.splice(0) };
    return rowOf(fault, history.attempts.slice(first), unknown, why);
  }
}

function tooLong({ limitMs }: Fault, outageMs: number): string[] {
  if (limitMs === undefined || outageMs <= limitMs) return [];
  return [`${outageMs} ms without progress; ${limitMs} are allowed`];
}

function rowOf(
  fault: Fault,
  attempts: readonly Attempt[],
  found: Pick<Row, 'lost' | 'duplicated' | 'gaps' | 'outageMs' | 'notes'>,
  why: readonly string[],
): Row {
  const { lost, duplicated, gaps, outageMs, notes } = found;
  const passed = why.length === 0 && lost + duplicated + gaps === 0;
  return {
    ...{ fault: fault.name, verdict: passed ? 'passed' : 'failed', ...count(attempts) },
    ...{ lost, duplicated, gaps, outageMs, limitMs: fault.limitMs ?? null, why, notes },
  };
}

/** Nothing was broken. */
function unbroken(fault: Fault, verdict: 'failed' | 'skipped', why: string): Row {
  const limitMs = fault.limitMs ?? null;
  return { fault: fault.name, verdict, ...NOTHING, outageMs: 0, limitMs, why: [why], notes: [] };
}

export async function untilDrained({ database }: Bench): Promise<void> {
  const until = performance.now() + DRAINED_WITHIN_MS;
  for (;;) {
    const rows = await database.sql<{ kind: string }[]>`
      SELECT kind FROM input_queue WHERE kind NOT IN ('Tick')`;
    if (rows.length === 0) return;
    if (performance.now() > until) throw new Error(`${rows.length} inputs stay in the queue`);
    await delay(20);
  }
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  const patience = new AbortController();
  const late = delay(ms, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`the fault did not come to its end within ${ms} ms`);
  });
  late.catch(() => undefined); // the loser of the race
  try {
    await Promise.race([work, late]);
  } finally {
    patience.abort();
  }
}
