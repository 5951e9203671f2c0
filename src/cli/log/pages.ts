/**
 * The rows that a command walks, out of archives first, then out of the database, one log to the reader; and
 * what a walk found wrong with their chain.
 */
import { readArchive } from '../../eventlog/archive.ts';
import type { Replayed } from '../../eventlog/replay.ts';
import { walkStored, type Run, type StoredRow } from '../../eventlog/stored.ts';

export interface PagesOptions {
  /** Files of detached partitions, in order of seq. */
  readonly archives: readonly string[];
  /** Null: archives only. */
  readonly run: Run | null;
  readonly after: number;
  readonly through: number;
}

/** Pages in order; rows at or below `after`, or told already, are left out. */
export async function* pagesOf(options: PagesOptions): AsyncGenerator<StoredRow[]> {
  const { archives, run, through } = options;
  let last = options.after;
  for (const file of archives) {
    for await (const page of readArchive(file)) {
      const kept = page.filter(({ seq }) => seq > last && seq <= through);
      last = kept.at(-1)?.seq ?? last;
      yield kept;
    }
  }
  if (run !== null) yield* walkStored(run, { after: last, through });
}

/** A line for each fault of the chain. */
export function chainFaults({ missing, brokenAt }: Pick<Replayed, 'missing' | 'brokenAt'>): string {
  const gap = missing === null ? '' : `row ${missing} is missing\n`;
  const broken =
    brokenAt === null ? '' : `row ${brokenAt} does not follow from the one before it\n`;
  return `${gap}${broken}`;
}
