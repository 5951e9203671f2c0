/**
 * The rows that a command walks, out of archives first, then out of detached tables that are still there, then out
 * of the log, one log to the reader; and what a walk found wrong with them.
 */
import { readArchive } from '../../eventlog/archive.ts';
import type { Left } from '../../eventlog/detached.ts';
import type { Replayed } from '../../eventlog/replay.ts';
import { walkDetached, walkStored, type Run, type StoredRow } from '../../eventlog/stored.ts';

export interface PagesOptions {
  /** Files of detached partitions, in order of seq. */
  readonly archives: readonly string[];
  readonly run: Run;
  readonly left: Left;
  readonly after: number;
  readonly through: number;
}

/** Pages in order; rows at or below `after`, or told already, are left out. */
export async function* pagesOf(options: PagesOptions): AsyncGenerator<StoredRow[]> {
  let last = options.after;
  for (const source of sources(options)) {
    for await (const page of source(last)) {
      const kept = page.filter(({ seq }) => seq > last && seq <= options.through);
      last = kept.at(-1)?.seq ?? last;
      yield kept;
    }
  }
}

type Source = (after: number) => AsyncIterable<StoredRow[]>;

function sources({ archives, run, left, through }: PagesOptions): Source[] {
  return [
    ...archives.map(
      (file): Source =>
        () =>
          readArchive(file),
    ),
    ...left.tables.map(
      (table): Source =>
        (after) =>
          walkDetached(run, table, { after, through }),
    ),
    (after) => walkStored(run, { after, through }),
  ];
}

export type Faults = Pick<Replayed, 'missing' | 'brokenAt' | 'stopped'>;

export function isSound({ missing, brokenAt, stopped }: Faults): boolean {
  return missing === null && brokenAt === null && stopped === null;
}

/** A line for each fault, the first one first. */
export function faultLines({ missing, brokenAt, stopped }: Faults, { detached }: Left): string {
  const chain: [number, string][] = [];
  if (missing !== null) {
    const how = missing > detached ? '' : ': it was detached; give every --archive FILE, in order';
    chain.push([missing, `row ${missing} is missing${how}\n`]);
  }
  if (brokenAt !== null)
    chain.push([brokenAt, `row ${brokenAt} does not follow from the one before it\n`]);
  const lines = chain.sort(([a], [b]) => a - b).map(([, line]) => line);
  const end =
    stopped === null ? '' : `row ${stopped.seq} cannot be made sense of: ${stopped.why}\n`;
  return `${lines.join('')}${end}`;
}
