/** `muster replay --redecide`: what would this Muster have decided over the logged inputs? */
import { ChainCheck } from '../../eventlog/chain-check.ts';
import { contentGetter, declareContent, readContents } from '../../eventlog/contents.ts';
import { Redecider } from '../../eventlog/redecide.ts';
import { stopAt, type Stop } from '../../eventlog/replay.ts';
import { readHead } from '../../eventlog/state.ts';
import { openRow, type StoredRow } from '../../eventlog/stored.ts';
import { EXIT, printJson, type Io } from '../io.ts';
import { some } from '../operate/show.ts';
import { begin, type Wishes } from './begin.ts';
import { databaseOf, withTables, type LogSession } from './connect.ts';
import { faultLines, isSound } from './pages.ts';

export async function redecide(wishes: Wishes, io: Io): Promise<number> {
  const { result, chain, stopped, left } = await withTables(
    databaseOf(wishes.database),
    async (log) => decideAgain(log, wishes),
  );
  const { inputs, differences, skipped } = result;
  const faults = { missing: chain.missing, brokenAt: chain.brokenAt, stopped };
  const sound = isSound(faults);
  const ok = differences.length === 0 && skipped.length === 0 && sound;
  const told = {
    differences: differences.slice(0, wishes.limit),
    skipped: skipped.slice(0, wishes.limit),
  };
  if (wishes.json) {
    const counts = { inputs, differing: differences.length, skippedCount: skipped.length };
    printJson(io, { ok, ...counts, ...faults, ...told });
  } else {
    io.stdout.write(faultLines(faults, left));
    for (const { seq, logged, decided } of told.differences) {
      io.stdout.write(
        `input ${seq}\n  logged  ${JSON.stringify(logged)}\n  decided ${JSON.stringify(decided)}\n`,
      );
    }
    for (const { seq, why } of told.skipped) io.stdout.write(`input ${seq} not decided: ${why}\n`);
    io.stdout.write(
      `${some(inputs, 'input')} decided again, ${differences.length} otherwise, ${skipped.length} not\n`,
    );
  }
  if (!sound)
    io.stderr.write(
      'muster replay: the log is not whole, so that differences may be its own; see muster log verify\n',
    );
  return ok ? EXIT.ok : EXIT.no;
}

async function decideAgain(log: LogSession, wishes: Wishes) {
  const { seq: through } = await log.run(readHead);
  const { pages, from, start, state, left } = await begin(log, wishes, { through, near: false });
  await log.run((sql) => declareContent(sql, state));
  const redecider = new Redecider(state, async (hashes) =>
    contentGetter(await log.run((sql) => readContents(sql, hashes))),
  );
  const chain = new ChainCheck(from, start);
  const after = start?.seq ?? 0;
  let stopped: Stop | null = null;
  for await (const page of pages) {
    for (const row of page) {
      chain.take(row);
      if (row.seq > after && stopped === null) stopped = await takeOrStop(redecider, row, chain);
    }
  }
  chain.reach(through);
  stopped ??= await decideOrStop(chain, () => redecider.end());
  return { result: redecider.result, chain, stopped, left };
}

function takeOrStop(
  redecider: Redecider,
  row: StoredRow,
  chain: ChainCheck,
): Promise<Stop | null> | Stop {
  try {
    const opened = openRow(row);
    return decideOrStop(chain, () => redecider.take(opened));
  } catch (error) {
    return stopAt(row.seq, error, chain.whole);
  }
}

/** A reducer that fails over a log that is whole fails by itself: that is thrown. */
async function decideOrStop(
  { seq, whole }: ChainCheck,
  decide: () => Promise<void>,
): Promise<Stop | null> {
  try {
    await decide();
    return null;
  } catch (error) {
    if (whole) throw error;
    return stopAt(seq, error, whole);
  }
}
