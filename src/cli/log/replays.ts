/** The four kinds of replay, each from the same beginning. */
import type { Sql } from '../../db/driver.ts';
import { startListener } from '../../db/listen.ts';
import { acquireLock } from '../../db/lock.ts';
import { inTransaction } from '../../db/transaction.ts';
import { contentGetter, declareContent, readContents } from '../../eventlog/contents.ts';
import { rebuildTables } from '../../eventlog/rebuild.ts';
import { Redecider } from '../../eventlog/redecide.ts';
import {
  compare,
  replay,
  type Difference,
  type Replayed,
  type Start,
} from '../../eventlog/replay.ts';
import { loadSnapshot, provenSnapshots } from '../../eventlog/snapshot.ts';
import { loadState, readHead } from '../../eventlog/state.ts';
import { openRow } from '../../eventlog/stored.ts';
import { dump, restore } from '../../reducer/state/rows-io.ts';
import { emptyState, type FleetState } from '../../reducer/state/state.ts';
import { silent } from '../../telemetry.ts';
import { EXIT, printJson, UsageError, type Io } from '../io.ts';
import { databaseOf, withSession, type DatabaseValues, type LogSession } from './connect.ts';
import { chainFaults, pagesOf } from './pages.ts';
import { printFleet } from './print-fleet.ts';

export interface Wishes {
  readonly database: DatabaseValues;
  readonly archives: readonly string[];
  readonly fromSnapshot: boolean;
  readonly limit: number;
  readonly json: boolean;
}

/** Waiting longer means that a process leads and will go on leading. */
const LOCK_WAIT_MS = 5_000;
const WRITE_DEADLINE_MS = 10 * 60_000;

/**
 * From empty, from the rows that archives give, or from a snapshot that was proven: one that was not may hold the
 * very damage that is looked for. Of those the lowest, so that as much as possible is looked at; the newest for
 * whoever asks for it.
 */
async function startOf({ run }: LogSession, wishes: Wishes, atMost: number): Promise<Start | null> {
  if (wishes.archives.length > 0 && !wishes.fromSnapshot) return null;
  const floor = await run(readFloor);
  if (floor <= 1 && !wishes.fromSnapshot) return null;
  const found = await run((sql) => provenSnapshots(sql, { atLeast: floor - 1, atMost }));
  if (found !== null) {
    const seq = wishes.fromSnapshot ? found.newest : found.lowest;
    return run((sql) => loadSnapshot(sql, seq));
  }
  if (floor <= 1) return null;
  throw new UsageError(
    `rows before ${floor} were detached and no proven snapshot stands for them up to ${atMost}; give --archive FILE`,
  );
}

async function readFloor(sql: Sql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`SELECT seq FROM event_log ORDER BY seq LIMIT 1`;
  return row?.seq ?? 1;
}

/** Folds up to `through`; an unsound log is the caller's to tell of. */
async function fold(log: LogSession, wishes: Wishes, through: number): Promise<Replayed> {
  const start = await startOf(log, wishes, through);
  const { archives } = wishes;
  const after = start?.rows.headSeq ?? 0;
  const from = start === null ? null : { seq: after, hash: start.hash };
  const pages = pagesOf({ archives, run: log.run, after, through });
  return replay(pages, { from, fold: true, state: startState(start) });
}

function startState(start: Start | null): FleetState {
  return start === null ? emptyState() : restore(start.rows);
}

export async function verify(wishes: Wishes, io: Io): Promise<number> {
  const began = performance.now();
  const { folded, found } = await withSession(databaseOf(wishes.database), async (log) => {
    // Of one moment; the log below its head never changes, so it needs no long transaction.
    const stored = await inTransaction(log.session, async (sql) => {
      await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
      return loadState(sql);
    });
    const walked = await fold(log, wishes, stored.headSeq);
    return { folded: walked, found: compare(dump(walked.state), stored, wishes.limit) };
  });
  const { rows, seq, missing, brokenAt } = folded;
  const seconds = Math.round(performance.now() - began) / 1_000;
  const ok = found.length === 0 && missing === null && brokenAt === null;
  if (wishes.json) {
    printJson(io, { ok, rows, head: seq, seconds, missing, brokenAt, differences: found });
  } else {
    io.stdout.write(chainFaults(folded));
    for (const one of found) io.stdout.write(`${difference(one)}\n`);
    if (ok) {
      io.stdout.write(`${rows} rows up to ${seq} fold to the tables, in ${seconds.toFixed(1)} s\n`);
    }
  }
  return ok ? EXIT.ok : EXIT.no;
}

function difference({ family, key, field, folded, stored }: Difference): string {
  const text = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value);
  const where = [family, key, field].filter((part) => part !== null && part !== '').join(' ');
  return `${where}: the log says ${text(folded)}, the table ${text(stored)}`;
}

export async function show(wishes: Wishes, at: string, io: Io): Promise<number> {
  const walked = await withSession(databaseOf(wishes.database), async (log) => {
    const seq = /^\d+$/.test(at) ? Number(at) : await log.run((sql) => seqAt(sql, at));
    const head = await log.run(readHead);
    // Only what was then is asked for, and any proven snapshot is on the way to it.
    const fromSnapshot = wishes.fromSnapshot || wishes.archives.length === 0;
    return fold(log, { ...wishes, fromSnapshot }, Math.min(seq, head.seq));
  });
  const state = dump(walked.state);
  if (wishes.json) printJson(io, state);
  else io.stdout.write(printFleet(state));
  return EXIT.ok;
}

/** The last row at or before a time. */
async function seqAt(sql: Sql, time: string): Promise<number> {
  if (Number.isNaN(Date.parse(time))) {
    throw new UsageError('--at takes a seq, or a time such as 2026-11-01T13:00:00Z');
  }
  const [row] = await sql<{ seq: number | null }[]>`
    SELECT max(seq) AS seq FROM event_log WHERE ts <= ${new Date(time).toISOString()}`;
  return row?.seq ?? 0;
}

export async function redecide(wishes: Wishes, io: Io): Promise<number> {
  const result = await withSession(databaseOf(wishes.database), async (log) => {
    const head = await log.run(readHead);
    const start = await startOf(log, wishes, head.seq);
    const state = startState(start);
    await log.run((sql) => declareContent(sql, state));
    const redecider = new Redecider(state, async (hashes) =>
      contentGetter(await log.run((sql) => readContents(sql, hashes))),
    );
    const after = start?.rows.headSeq ?? 0;
    const pages = pagesOf({ archives: wishes.archives, run: log.run, after, through: head.seq });
    for await (const page of pages) {
      for (const row of page) await redecider.take(openRow(row));
    }
    await redecider.end();
    return redecider.result;
  });
  const { inputs, differences, skipped } = result;
  const ok = differences.length === 0 && skipped.length === 0;
  const told = {
    differences: differences.slice(0, wishes.limit),
    skipped: skipped.slice(0, wishes.limit),
  };
  if (wishes.json) {
    printJson(io, {
      ok,
      inputs,
      differing: differences.length,
      skippedCount: skipped.length,
      ...told,
    });
  } else {
    for (const { seq, logged, decided } of told.differences) {
      io.stdout.write(
        `input ${seq}\n  logged  ${JSON.stringify(logged)}\n  decided ${JSON.stringify(decided)}\n`,
      );
    }
    for (const { seq, why } of told.skipped) io.stdout.write(`input ${seq} not decided: ${why}\n`);
    io.stdout.write(
      `${inputs} inputs decided again, ${differences.length} otherwise, ${skipped.length} not\n`,
    );
  }
  return ok ? EXIT.ok : EXIT.no;
}

export async function rebuild(wishes: Wishes, io: Io): Promise<number> {
  const database = databaseOf(wishes.database);
  const common = { logger: silent, random: Math.random };
  const listener = startListener(database, common);
  const patience = AbortSignal.timeout(LOCK_WAIT_MS);
  const lock = await acquireLock({ database, name: 'leader', listener, ...common }, patience).catch(
    () => null,
  );
  try {
    if (lock === null) throw new UsageError('a process leads: stop all of them first');
    const { rows, seq } = await withSession(database, async (log) => {
      const head = await log.run(readHead);
      const folded = await fold(log, wishes, head.seq);
      if (folded.missing !== null || folded.brokenAt !== null) {
        throw new UsageError('the log itself is not whole: see muster log verify');
      }
      lock.lost.throwIfAborted();
      await inTransaction(
        log.session,
        (sql) => rebuildTables(sql, dump(folded.state)),
        WRITE_DEADLINE_MS,
      );
      return folded;
    });
    if (wishes.json) printJson(io, { ok: true, rows, head: seq });
    else io.stdout.write(`the tables are what ${rows} rows up to ${seq} fold to\n`);
    return EXIT.ok;
  } finally {
    await lock?.release();
    await listener.stop();
  }
}
