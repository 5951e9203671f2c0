/** `muster log verify`: is the hash chain whole, and does it still hold a checkpoint that was kept elsewhere? */
import { readUnguarded, unguardedProblem } from '../db/append-only.ts';
import type { Sql } from '../db/driver.ts';
import { databaseProblem } from '../db/errors.ts';
import { readLeft, type Left } from '../eventlog/detached.ts';
import { replay, type Replayed } from '../eventlog/replay.ts';
import { readCommittedSeq, readHead } from '../eventlog/state.ts';
import { DATABASE_OPTIONS, databaseOf, withSession } from './log/connect.ts';
import { faultLines, isSound, pagesOf } from './log/pages.ts';
import { EXIT, fail, parseOptions, printJson, UsageError, type Io } from './io.ts';

export const logHelp = `muster log verify [--checkpoint LINE] [--archive FILE …] [--json]
                  [--database-url URL] [--schema NAME]

Walks the whole event log and recomputes its hash chain: a row that was changed, removed or put in between shows.
A log that was rewritten from end to end has a whole chain too; only a checkpoint that was kept elsewhere tells.
It also says where triggers that keep rows from being changed are off or missing, and what puts them back.
With roles, give a reader's login, the leader's or the owner's.

  --checkpoint TEXT   incarnation:seq:hash, as the process log and MUSTER_CHECKPOINT_TO hold them; may be repeated
  --archive FILE      exported partitions whose tables are no longer in the database, in order; may be repeated
  --json              one line of JSON

Exit code: 0 whole, and the database refuses to change it; 1 not; 2 could not look.
`;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  checkpoint: { type: 'string', multiple: true, default: [] as string[] },
  archive: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

interface Checkpoint {
  readonly incarnation: string;
  readonly seq: number;
  readonly hash: string;
}

export async function log(args: string[], io: Io): Promise<number> {
  const [verb, ...rest] = args;
  if (verb === undefined || verb === '--help' || verb === '-h') {
    io.stdout.write(logHelp);
    return verb === undefined ? EXIT.usage : EXIT.ok;
  }
  try {
    if (verb !== 'verify') throw new UsageError(`there is no "log ${verb}"; see muster log --help`);
    return await verify(rest, io);
  } catch (error) {
    const problem =
      error instanceof UsageError
        ? error.message
        : databaseProblem(error, { who: 'reads the log' });
    return fail(io, { command: 'log', json: args.includes('--json') }, EXIT.usage, problem);
  }
}

async function verify(args: string[], io: Io): Promise<number> {
  const { values } = parseOptions({ args, options: OPTIONS });
  if (values.help) {
    io.stdout.write(logHelp);
    return EXIT.ok;
  }
  const checkpoints = values.checkpoint.map(parseCheckpoint);
  const database = databaseOf(values);
  const found = await withSession(database, async ({ run }) => {
    const left = await run(readLeft);
    const archives = values.archive;
    const base = archives.length > 0 ? null : left.base;
    const after = base?.seq ?? 0;
    const pages = pagesOf({ archives, run, left, after, through: Infinity });
    const kept = new Map<number, string>();
    if (base !== null) kept.set(base.seq, Buffer.from(base.hash).toString('hex'));
    const wanted = new Set(checkpoints.map(({ seq }) => seq));
    const walked = await replay(noting(pages, wanted, kept), { from: base, fold: false });
    // It has grown since, but never shrinks: what archives hold beyond it was in it once, and so was what was committed.
    const committed = await run(readCommittedSeq);
    const ends = (await run(readHead)).seq;
    const incarnation = await run(readIncarnation);
    const endsBefore = Math.max(walked.seq, committed) > ends ? ends : null;
    const changeable = unguardedProblem(database.schema, await run(readUnguarded));
    return { ...walked, left, from: after + 1, endsBefore, kept, incarnation, changeable };
  });
  const { kept, from } = found;
  const unseen = checkpoints.filter(({ seq }) => seq < from && !kept.has(seq));
  const broken = checkpoints.filter(
    (one) => !unseen.includes(one) && kept.get(one.seq) !== one.hash,
  );
  return report(io, values.json, { ...found, broken, unseen });
}

async function readIncarnation(sql: Sql): Promise<string | null> {
  const [row] = await sql<{ incarnation: string }[]>`SELECT incarnation FROM epoch`;
  return row?.incarnation ?? null;
}

/** Keeps the hashes that checkpoints speak of. */
async function* noting<Row extends { readonly seq: number; readonly hash: Buffer }>(
  pages: AsyncIterable<Row[]>,
  wanted: ReadonlySet<number>,
  kept: Map<number, string>,
): AsyncGenerator<Row[]> {
  for await (const page of pages) {
    for (const { seq, hash } of page) if (wanted.has(seq)) kept.set(seq, hash.toString('hex'));
    yield page;
  }
}

function parseCheckpoint(text: string): Checkpoint {
  const match = /^([\w-]+):(\d+):([0-9a-f]{64})$/.exec(text.trim());
  const [, incarnation, seq, hash] = match ?? [];
  if (incarnation === undefined || seq === undefined || hash === undefined)
    throw new UsageError('a checkpoint is incarnation:seq:hash, the hash 64 hexadecimal digits');
  return { incarnation, seq: Number(seq), hash };
}

interface Findings extends Replayed {
  readonly from: number;
  readonly left: Left;
  /** Where the log in the database ends, when archives hold rows beyond it, or more was committed. */
  readonly endsBefore: number | null;
  /** In force; null before the first leader. */
  readonly incarnation: string | null;
  /** What lets rows be changed; null when nothing does. */
  readonly changeable: string | null;
  readonly broken: readonly Checkpoint[];
  /** Of rows that were detached, and that no archive gives. */
  readonly unseen: readonly Checkpoint[];
}

function report(io: Io, json: boolean, found: Findings): number {
  const { rows, from, seq, missing, brokenAt, endsBefore, broken, unseen } = found;
  const { changeable } = found;
  const whole = isSound(found) && endsBefore === null;
  const sound = whole && broken.length === 0;
  const chained = sound && unseen.length === 0;
  const ok = chained && changeable === null;
  const hash = Buffer.from(found.hash).toString('hex');
  if (json)
    printJson(io, {
      ...{ ok, rows, from, head: seq, hash, missing, brokenAt, endsBefore },
      ...{ checkpoints: broken, unseen, changeable },
    });
  else {
    io.stdout.write(`${faultLines(found, found.left)}${checkpointFaults(found)}`);
    const walked = rows === 1 ? `row ${seq} is` : `rows ${from} to ${seq} are`;
    if (chained) io.stdout.write(`${walked} a whole chain; its head is ${hash}\n`);
    if (changeable !== null) io.stdout.write(`${changeable}\n`);
  }
  if (ok) return EXIT.ok;
  return sound && changeable === null ? EXIT.usage : EXIT.no;
}

function checkpointFaults(found: Findings): string {
  const { seq, endsBefore, incarnation, broken, unseen } = found;
  const ends =
    endsBefore === null
      ? []
      : [
          seq > endsBefore
            ? `the log ends at row ${endsBefore}, before the archives do: rows are missing, or it was restored`
            : `the log ends at row ${endsBefore}, and more was committed: its last partitions were detached, or left out of a dump`,
        ];
  const other = broken.map((one) =>
    one.seq > seq
      ? `the log ends at row ${seq}, before the checkpoint of row ${one.seq}: rows are missing, or it was restored`
      : `row ${one.seq} is not what the checkpoint says: the log was rewritten${
          one.incarnation === incarnation ? '' : ', or restored to before it and gone on with'
        }`,
  );
  const gone = unseen.map(
    (one) => `row ${one.seq} was detached: give its --archive FILE to compare the checkpoint`,
  );
  return [...ends, ...other, ...gone].map((line) => `${line}\n`).join('');
}
