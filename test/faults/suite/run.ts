/** Runs faults one after the other: load, fault, heal, quiet, check. */
import { setTimeout as delay } from 'node:timers/promises';
import { Bench, type BenchOptions } from './bench/bench.ts';
import { check, type Findings } from './check.ts';
import type { Fault, Row } from './fault.ts';
import { count, longestSilence, type Attempt } from './load/history.ts';
import { watchStarvation } from './starvation.ts';

export interface RunOptions extends BenchOptions {
  readonly onRow: (row: Row) => void;
  /** Aborts between faults, and closes what runs. */
  readonly signal: AbortSignal;
}

/** Fewer events acknowledged before the fault, or nothing of any other kind, mean that it was tried on an idle system. */
const LOAD_BEFORE = 200;
const LOAD_AFTER = 100;
const LOAD_WITHIN_MS = 30_000;
/** A leader takes its inputs within milliseconds; only a queue that nobody empties takes longer. */
const DRAINED_WITHIN_MS = 20_000;
/** Checks read the whole log: beyond this a new installation is quicker. */
const ROWS_BEFORE_RENEWAL = 20_000;
/** A fault that hangs must not hang the run. */
const FAULT_WITHIN_MS = 120_000;

const NOTHING = {
  ...{ ops: 0, ok: 0, failed: 0, unknown: 0, lost: 0, duplicated: 0, gaps: 0 },
  ...{ outageMs: 0, starvedMs: 0 },
} as const;

export async function runFaults(faults: readonly Fault[], options: RunOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const note = (row: Row): Row => {
    rows.push(row);
    options.onRow(row);
    return row;
  };
  const shared = new SharedBench(options);
  const onAbort = (): void => void shared.close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const fault of faults) {
      if (options.signal.aborted) break;
      const row = note(await runFault(fault, shared, options));
      if (row.verdict !== 'late') continue;
      const again = await runFault(fault, shared, options);
      note(again.verdict === 'late' ? { ...again, verdict: 'failed' } : again);
    }
    return rows;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    await shared.close();
  }
}

async function runFault(fault: Fault, shared: SharedBench, options: RunOptions): Promise<Row> {
  const why = fault.cannot?.() ?? null;
  if (why !== null) return unbroken(fault, 'skipped', why);
  if (fault.start !== undefined) return onOwnBench(fault, fault.start, options);
  const bench = await shared.get();
  const row = await breakBench(fault, bench);
  if (row.verdict !== 'passed' || (await isWorn(bench))) await shared.close();
  return row;
}

/** The bench of all faults that need none of their own, until one of them may have harmed it. */
class SharedBench {
  private readonly options: BenchOptions;
  private bench: Bench | null = null;

  constructor(options: BenchOptions) {
    this.options = options;
  }

  async get(): Promise<Bench> {
    return (this.bench ??= await Bench.start(this.options));
  }

  async close(): Promise<void> {
    const { bench } = this;
    this.bench = null;
    await bench?.close();
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
    return await breakBench(fault, bench);
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
async function breakBench(fault: Fault, bench: Bench): Promise<Row> {
  const { history } = bench.load;
  const first = history.attempts.length;
  const from = performance.now();
  let to = from;
  const starvation = watchStarvation(() => bench.members.flatMap(({ pid }) => pid ?? []));
  const outage = (): Pick<Row, 'outageMs' | 'starvedMs'> => {
    const silence = longestSilence(history.attempts.slice(first), from, to);
    const starvedMs = Math.round(starvation.between(silence.from, silence.to));
    return { outageMs: Math.round(silence.to - silence.from), starvedMs };
  };
  const tell = (found: Findings): Row =>
    rowOf(fault, history.attempts.slice(first), {
      ...found,
      ...outage(),
      notes: bench.notes.splice(0),
    });
  try {
    bench.load.start();
    await bench.load.more(LOAD_BEFORE, LOAD_WITHIN_MS);
    await bench.load.moreOfEach(LOAD_WITHIN_MS);
    await within(fault.run(bench), FAULT_WITHIN_MS);
    await bench.heal();
    await bench.load.more(LOAD_AFTER, LOAD_WITHIN_MS);
    await bench.load.moreOfEach(LOAD_WITHIN_MS);
    to = performance.now();
    const stuck = (await bench.load.stop()) ? [] : ['somebody repeats what is never taken'];
    await untilDrained(bench);
    const expected = { dead: bench.planted, lossWindow: bench.lossWindow };
    const { wrong, ...seen } = await check(bench.database, history.attempts, expected);
    return tell({ ...seen, wrong: [...wrong, ...stuck] });
  } catch (error) {
    const wrong = [error instanceof Error ? error.message : String(error)];
    return tell({ lost: 0, duplicated: 0, gaps: 0, wrong });
  } finally {
    starvation.stop();
  }
}

function tooLong({ limitMs }: Fault, outageMs: number, starvedMs: number): string[] {
  if (limitMs === undefined || outageMs - starvedMs <= limitMs) return [];
  return [`${outageMs - starvedMs} ms without progress; ${limitMs} are allowed`];
}

function rowOf(
  fault: Fault,
  attempts: readonly Attempt[],
  found: Findings & Pick<Row, 'outageMs' | 'starvedMs' | 'notes'>,
): Row {
  const { wrong, ...seen } = found;
  const late = tooLong(fault, seen.outageMs, seen.starvedMs);
  const failed = wrong.length + seen.lost + seen.duplicated + seen.gaps > 0;
  const verdict = failed ? 'failed' : late.length > 0 ? 'late' : 'passed';
  const about = { fault: fault.name, verdict, limitMs: fault.limitMs ?? null } as const;
  return { ...about, ...count(attempts), ...seen, why: [...wrong, ...late] };
}

/** Nothing was broken. */
function unbroken(fault: Fault, verdict: 'failed' | 'skipped', why: string): Row {
  const limitMs = fault.limitMs ?? null;
  return { fault: fault.name, verdict, ...NOTHING, limitMs, why: [why], notes: [] };
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
