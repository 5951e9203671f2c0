/** `muster replay`: the log folded again, to verify the tables, to look back, to decide again, to rebuild. */
import { databaseProblem } from '../db/errors.ts';
import { EXIT, fail, parseOptions, UsageError, type Io } from './io.ts';
import type { Wishes } from './log/begin.ts';
import { DATABASE_OPTIONS } from './log/connect.ts';
import { show } from './log/look-back.ts';
import { redecide } from './log/redecide.ts';
import { rebuild, verify } from './log/replays.ts';

export const replayHelp = `muster replay --verify | --at SEQ|TIME | --redecide | --rebuild  [options]

  --verify          fold the log and compare with every derived table; reports the first difference
  --at SEQ|TIME     the fleet as it was after that row, or at that RFC 3339 time; none where a row below is missing
  --redecide        run the reducer of this Muster over the logged inputs, and report what it would decide otherwise
  --rebuild         write the derived tables anew from the log; no process may lead meanwhile

  --archive FILE    rows of an exported partition (.jsonl.gz) before those in the database, in order; may be repeated
  --from-snapshot   begin at the newest proven snapshot, if there is one, and trust it: rows below it are not looked at.
                    Without it: at seq 1, or at the lowest proven snapshot when the rows before it were detached and
                    dropped, and no archive gives them; --at folds from the newest, and checks the chain below it
  --limit N         report at most so many differences (default 20)
  --json            one line of JSON
  --database-url URL, --schema NAME   as MUSTER_DATABASE_URL and MUSTER_SCHEMA

With roles, give a reader's login, the leader's or the owner's; for --rebuild one of the last two.

Exit code: 0 equal (or done), 1 differences, or a log that is not whole up to there, 2 could not look.
`;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  verify: { type: 'boolean', default: false },
  at: { type: 'string' },
  redecide: { type: 'boolean', default: false },
  rebuild: { type: 'boolean', default: false },
  archive: { type: 'string', multiple: true, default: [] as string[] },
  'from-snapshot': { type: 'boolean', default: false },
  limit: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export async function replay(args: string[], io: Io): Promise<number> {
  try {
    const { values } = parseOptions({ args, options: OPTIONS });
    if (values.help) {
      io.stdout.write(replayHelp);
      return EXIT.ok;
    }
    const wishes: Wishes = {
      database: values,
      archives: values.archive,
      fromSnapshot: values['from-snapshot'],
      limit: limitOf(values.limit),
      json: values.json,
    };
    return await chosen(values)(wishes, io);
  } catch (error) {
    const who = args.includes('--rebuild') ? 'leads' : 'reads the log';
    const problem = error instanceof UsageError ? error.message : databaseProblem(error, { who });
    return fail(io, { command: 'replay', json: args.includes('--json') }, EXIT.usage, problem);
  }
}

type Values = ReturnType<typeof parseOptions<{ options: typeof OPTIONS }>>['values'];

function chosen(values: Values): (wishes: Wishes, io: Io) => Promise<number> {
  const { at } = values;
  const found = [
    ...(values.verify ? [verify] : []),
    ...(at === undefined ? [] : [(wishes: Wishes, io: Io) => show(wishes, at, io)]),
    ...(values.redecide ? [redecide] : []),
    ...(values.rebuild ? [rebuild] : []),
  ];
  const [only, ...more] = found;
  if (only === undefined || more.length > 0) {
    throw new UsageError('give one of --verify, --at, --redecide and --rebuild; see --help');
  }
  return only;
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new UsageError('--limit takes a number of differences from 1');
}
