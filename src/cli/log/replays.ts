/** The replays that compare or write the derived tables, each from the same beginning. */
import { startListener } from '../../db/listen.ts';
import { acquireLock } from '../../db/lock.ts';
import { inTransaction } from '../../db/transaction.ts';
import type { Left } from '../../eventlog/detached.ts';
import { rebuildTables } from '../../eventlog/rebuild.ts';
import { compare, replay, type Difference, type Replayed } from '../../eventlog/replay.ts';
import { loadState, readHead } from '../../eventlog/state.ts';
import { dump } from '../../reducer/state/rows-io.ts';
import type { StateRows } from '../../reducer/state/state.ts';
import { silent } from '../../telemetry.ts';
import { EXIT, printJson, UsageError, type Io } from '../io.ts';
import { some } from '../operate/show.ts';
import { begin, type Wishes } from './begin.ts';
import { databaseOf, withTables, type LogSession } from './connect.ts';
import { faultLines, isSound } from './pages.ts';

/** Waiting longer means that a process leads and will go on leading. */
const LOCK_WAIT_MS = 5_000;
const WRITE_DEADLINE_MS = 10 * 60_000;

/** Folds up to `through`; an unsound log is the caller's to tell of. */
async function fold(
  log: LogSession,
  wishes: Wishes,
  through: number,
): Promise<{ readonly folded: Replayed; readonly left: Left }> {
  const { pages, ...from } = await begin(log, wishes, { through, near: false });
  return { folded: await replay(pages, { ...from, fold: true, through }), left: from.left };
}

export async function verify(wishes: Wishes, io: Io): Promise<number> {
  const began = performance.now();
  const { walked, left, found } = await withTables(databaseOf(wishes.database), async (log) => {
    // Of one moment; the log below its head never changes, so it needs no long transaction.
    const stored = await inTransaction(log.session, async (sql) => {
      await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
      return loadState(sql);
    });
    const { folded, left } = await fold(log, wishes, stored.headSeq);
    return { walked: withEnd(folded, stored), left, found: differences(folded, stored, wishes) };
  });
  const { rows, seq, missing, brokenAt, stopped } = walked;
  const seconds = Math.round(performance.now() - began) / 1_000;
  const ok = found.length === 0 && isSound(walked);
  if (wishes.json) {
    const faults = { missing, brokenAt, stopped };
    printJson(io, { ok, rows, head: seq, seconds, ...faults, differences: found });
  } else {
    io.stdout.write(faultLines(walked, left));
    for (const one of found) io.stdout.write(`${difference(one)}\n`);
    if (ok) {
      const fold = `${some(rows, 'row')} up to ${seq} ${rows === 1 ? 'folds' : 'fold'}`;
      io.stdout.write(`${fold} to the tables, in ${seconds.toFixed(1)} s\n`);
    }
  }
  return ok ? EXIT.ok : EXIT.no;
}

/** What was folded half way differs everywhere, which says nothing. */
function differences(folded: Replayed, stored: StateRows, { limit }: Wishes): Difference[] {
  return folded.stopped === null ? compare(dump(folded.state), stored, limit) : [];
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
  const lock = await acquireLock({ database, name: 'leader', listener, ...common }, patience).catch(
    () => null,
  );
  try {
    if (lock === null) throw new UsageError('a process leads: stop all of them first');
    const { rows, seq } = await withTables(database, async (log) => {
      const head = await log.run(readHead);
      const { folded } = await fold(log, wishes, head.seq);
      if (!isSound(folded)) {
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
