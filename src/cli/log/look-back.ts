/** `muster replay --at`: the fleet as it was after a row, or at a time; never one that nobody can know. */
import type { Sql } from '../../db/driver.ts';
import { readLeft } from '../../eventlog/detached.ts';
import { replay, type Replayed } from '../../eventlog/replay.ts';
import { readHead } from '../../eventlog/state.ts';
import { dump } from '../../reducer/state/rows-io.ts';
import { millisOf, timeOf } from '../../reducer/time.ts';
import { EXIT, printJson, UsageError, type Io } from '../io.ts';
import { begin, type Wishes } from './begin.ts';
import { databaseOf, withTables, type LogSession } from './connect.ts';
import { faultLines, isSound, pagesOf } from './pages.ts';
import { printFleet } from './print-fleet.ts';

export async function show(wishes: Wishes, at: string, io: Io): Promise<number> {
  const { walked, left } = await withTables(databaseOf(wishes.database), async (log) => {
    const seq = /^\d+$/.test(at) ? Number(at) : await seqAt(log, wishes.archives, at);
    const head = await log.run(readHead);
    const through = Math.min(seq, head.seq);
    const { pages, ...from } = await begin(log, wishes, { through, near: true });
    return { walked: await replay(pages, { ...from, fold: true, through }), left: from.left };
  });
  const { missing, brokenAt, stopped } = walked;
  const ok = isSound(walked);
  const known = missing === null && stopped === null;
  const fleet = known ? dump(walked.state) : null;
  if (wishes.json) printJson(io, { ok, missing, brokenAt, stopped, ...fleet });
  else {
    io.stdout.write(faultLines(walked, left));
    if (!ok && fleet !== null) io.stdout.write('\n');
    if (fleet !== null) io.stdout.write(printFleet(fleet));
  }
  if (!ok) io.stderr.write(`muster replay: ${doubt(walked)}; see muster log verify\n`);
  return ok ? EXIT.ok : EXIT.no;
}

function doubt({ missing, brokenAt, stopped }: Replayed): string {
  if (missing === null && stopped === null)
    return 'the log is not whole: the fleet that its rows give may not be as it was';
  const last = Math.min(...[missing, brokenAt, stopped?.seq].map((seq) => seq ?? Infinity)) - 1;
  return `the log is not whole: how the fleet was then cannot be told. --at ${last} is the last row below it`;
}

/** The language makes a date of 500.5, too. */
const DATED = /^\d{4}-\d\d-\d\d/;

/**
 * The last row at or before a time. Where rows are missing after that one, some of them may be of before the time,
 * too: then the last missing one, which whoever walks up to it will miss.
 */
async function seqAt(log: LogSession, archives: readonly string[], time: string): Promise<number> {
  const at = DATED.test(time) ? Date.parse(time) : NaN;
  if (Number.isNaN(at))
    throw new UsageError('--at takes a seq, or a time such as 2026-11-01T13:00:00Z');
  const found = await log.run((sql) => lastInLog(sql, timeOf(at)));
  if (found !== null) return found;
  const left = await log.run(readLeft);
  const after = archives.length > 0 ? 0 : (left.base?.seq ?? 0);
  let last = 0;
  for await (const page of pagesOf({ archives, run: log.run, left, after, through: Infinity })) {
    for (const { seq, ts } of page) {
      if (millisOf(ts) > at) return beforeNext(last, { seq, ts }, left.detached, time);
      last = seq;
    }
  }
  return last;
}

/** Retention's gaps are asked for; others are faults of the log. */
function beforeNext(
  last: number,
  next: { readonly seq: number; readonly ts: string },
  detached: number,
  time: string,
): number {
  if (next.seq === last + 1 || last + 1 > detached) return next.seq - 1;
  throw new UsageError(
    `${time} is before row ${next.seq} of ${next.ts}, and rows ${last + 1} to ${next.seq - 1} were detached: give their --archive FILE, all in order`,
  );
}

/** Null: all rows of the log itself are later. */
async function lastInLog(sql: Sql, time: string): Promise<number | null> {
  const [row] = await sql<{ seq: number | null }[]>`
    SELECT coalesce(min(n.seq) - 1, max(l.seq)) AS seq
    FROM (SELECT max(seq) AS seq FROM event_log WHERE ts <= ${time}) l
    LEFT JOIN LATERAL (SELECT seq FROM event_log WHERE seq > l.seq ORDER BY seq LIMIT 1) n ON true`;
  return row?.seq ?? null;
}
