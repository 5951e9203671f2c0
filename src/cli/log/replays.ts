/** The replays that compare or write the derived tables, each from the same beginning. */
import { startListener } from '../../db/listen.ts';
import { acquireLock } from '../../db/lock.ts';
import { inTransaction } from '../../db/transaction.ts';
import { rebuildTables, unknownColumns } from '../../eventlog/rebuild.ts';
import {
  compare,
  replay,
  unknownFields,
  type Difference,
  type Replayed,
} from '../../eventlog/replay.ts';
import { loadState, readHead } from '../../eventlog/state.ts';
import { dump } from '../../reducer/state/rows-io.ts';
import type { StateRows } from '../../reducer/state/state.ts';
import { silent, systemClock } from '../../telemetry.ts';
import { EXIT, printJson, UsageError, type Io } from '../io.ts';
import { some } from '../operate/show.ts';
import { begin, type Beginning, type Wishes } from './begin.ts';
import { databaseOf, withTables, type LogSession } from './connect.ts';
import { faultLines, isSound } from './pages.ts';

/** Waiting longer means that a process leads and will go on leading. */
const LOCK_WAIT_MS = 5_000;
const WRITE_DEADLINE_MS = 10 * 60_000;

interface Folded {
  readonly folded: Replayed;
  readonly began: Beginning;
}

/** Folds up to `through`; an unsound log is the caller's to tell of. */
async function fold(log: LogSession, wishes: Wishes, through: number): Promise<Folded> {
  const began = await begin(log, wishes, { through, near: false });
  const { pages, ...from } = began;
  return { folded: await replay(pages, { ...from, fold: true, through }), began };
}

export async function verify(wishes: Wishes, io: Io): Promise<number> {
  const since = performance.now();
  const { walked, began, found, unknown } = await withTables(
    databaseOf(wishes.database),
    async (log) => {
      // Of one moment; the log below its head never changes, so it needs no long transaction.
      const stored = await inTransaction(log.session, async (sql) => {
        await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
        return loadState(sql);
      });
      const { folded, began } = await fold(log, wishes, stored.headSeq);
      const isWhole = folded.stopped === null;
      return {
        ...{ began, walked: withEnd(folded, stored) },
        // What was folded half way differs everywhere, which says nothing.
        found: isWhole ? differences({ folded, began }, stored, wishes.limit) : [],
        unknown: isWhole ? unknownFields(dump(folded.state)) : [],
      };
    },
  );
  const { rows, seq, missing, brokenAt, stopped } = walked;
  const seconds = Math.round(performance.now() - since) / 1_000;
  const ok = found.length === 0 && isSound(walked);
  if (wishes.json) {
    const faults = { missing, brokenAt, stopped };
    const notCompared = [...began.lacks, ...unknown];
    printJson(io, { ok, rows, head: seq, seconds, ...faults, differences: found, notCompared });
    return ok ? EXIT.ok : EXIT.no;
  }
  io.stdout.write(faultLines(walked, began.left) + notCompared(began, unknown));
  for (const one of found) io.stdout.write(`${difference(one)}\n`);
  if (ok) {
    const fold = `${some(rows, 'row')} up to ${seq} ${rows === 1 ? 'folds' : 'fold'}`;
    io.stdout.write(`${fold} to the tables, in ${seconds.toFixed(1)} s\n`);
  }
  return ok ? EXIT.ok : EXIT.no;
}

function differences({ folded, began }: Folded, stored: StateRows, limit: number): Difference[] {
  return compare(dump(folded.state), stored, { limit, except: began.lacks });
}

/** What this version could not look at, and who can. */
function notCompared({ lacks, start }: Beginning, unknown: readonly string[]): string {
  const older = `not compared: ${lacks.join(', ')}; the snapshot of row ${start?.seq ?? 0}, by an older Muster, lacks ${lacks.length === 1 ? 'it' : 'them'}, and the rows before it are gone: --archive FILE gives them\n`;
  const one = unknown.length === 1;
  const newer = `${some(unknown.length, 'column')} that this Muster does not know ${one ? 'was' : 'were'} not compared: ${unknown.join(', ')}; the version that wrote ${one ? 'it' : 'them'} does\n`;
  return (lacks.length === 0 ? '' : older) + (unknown.length === 0 ? '' : newer);
}

/** Tables that a row changed which is beyond the head show that the end of the log is missing. */
function withEnd(folded: Replayed, { headSeq, lastTs: _, fleet, ...lists }: StateRows): Replayed {
  const rows = [fleet, ...Object.values(lists).flat()];
  const isAhead = rows.some(({ seq }) => seq > headSeq);
  return isAhead ? { ...folded, missing: folded.missing ?? headSeq + 1 } : folded;
}

function difference({ family, key, field, folded, stored }: Difference): string {
  const text = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value);
  const where = [family, key, field].filter((part) => part !== null && part !== '').join(' ');
  return `${where}: the log says ${text(folded)}, the table ${text(stored)}`;
}

export async function rebuild(wishes: Wishes, io: Io): Promise<number> {
  const database = databaseOf(wishes.database);
  const common = { logger: silent, random: Math.random };
  const listener = startListener(database, common);
  const patience = AbortSignal.timeout(LOCK_WAIT_MS);
  const asked = { ...common, database, name: 'leader', listener, clock: systemClock } as const;
  const lock = await acquireLock(asked, patience).catch(() => null);
  try {
    if (lock === null) throw new UsageError('a process leads: stop all of them first');
    const { rows, seq } = await withTables(database, async (log) => {
      const head = await log.run(readHead);
      const { folded, began } = await fold(log, wishes, head.seq);
      if (!isSound(folded)) {
        throw new UsageError('the log itself is not whole: see muster log verify');
      }
      const problem = (await beyondUs(log)) ?? (await beyondSnapshot(log, { folded, began }));
      if (problem !== null) throw new UsageError(problem);
      lock.lost.throwIfAborted();
      await inTransaction(
        log.session,
        (sql) => rebuildTables(sql, dump(folded.state)),
        WRITE_DEADLINE_MS,
      );
      return folded;
    });
    if (wishes.json) printJson(io, { ok: true, rows, head: seq });
    else {
      const fold = `${some(rows, 'row')} up to ${seq} ${rows === 1 ? 'folds' : 'fold'} to`;
      io.stdout.write(`the tables are what ${fold}\n`);
    }
    return EXIT.ok;
  } finally {
    await lock?.release();
    await listener.stop();
  }
}

/** What would be wiped, since this version cannot write it; null when it can write all there is. */
async function beyondUs({ run }: LogSession): Promise<string | null> {
  const unknown = await run(unknownColumns);
  if (unknown.length === 0) return null;
  return `the tables have columns that this Muster does not know and would empty: ${unknown.join(', ')}. A newer version added them: run its muster replay --rebuild`;
}

/** What would be wiped, since nothing that is left tells of it; null when nothing would. */
async function beyondSnapshot(log: LogSession, { folded, began }: Folded): Promise<string | null> {
  if (began.lacks.length === 0) return null;
  const stored = await log.run(loadState);
  const lost = compare(dump(folded.state), stored).flatMap(({ family, field }) =>
    began.lacks.filter((name) => name === `${family}.${field ?? ''}`),
  );
  if (lost.length === 0) return null;
  return `the snapshot of row ${began.start?.seq ?? 0} is of an older Muster and lacks ${[...new Set(lost)].join(', ')}, which the tables hold: give the rows before it with --archive FILE`;
}
