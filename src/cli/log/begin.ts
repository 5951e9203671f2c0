/** Where a replay begins, and the rows that it walks from there. */
import type { Link } from '../../eventlog/chain-check.ts';
import { readLeft, type Left } from '../../eventlog/detached.ts';
import type { Start } from '../../eventlog/replay.ts';
import { loadSnapshot, provenSnapshot } from '../../eventlog/snapshot.ts';
import type { StoredRow } from '../../eventlog/stored.ts';
import { restore } from '../../reducer/state/rows-io.ts';
import { emptyState, type FleetState } from '../../reducer/state/state.ts';
import { UsageError } from '../io.ts';
import type { DatabaseValues, LogSession } from './connect.ts';
import { pagesOf } from './pages.ts';

export interface Wishes {
  readonly database: DatabaseValues;
  readonly archives: readonly string[];
  readonly fromSnapshot: boolean;
  readonly limit: number;
  readonly json: boolean;
}

export interface Beginning {
  /** The row before the first of `pages`. Rows up to `start` are there for their chain only. */
  readonly from: Link | null;
  /** The row that `state` is of; null: empty, before seq 1. */
  readonly start: Link | null;
  readonly state: FleetState;
  readonly pages: AsyncIterable<readonly StoredRow[]>;
  readonly left: Left;
  /** Columns, as `hosts.hold`, that `state` lacks: an older version took its snapshot, and the rows before it are gone. */
  readonly lacks: readonly string[];
}

interface Wanted {
  readonly through: number;
  /** Begin at the newest proven snapshot, asked for or not: only what was then is of interest. */
  readonly near: boolean;
}

export async function begin(
  log: LogSession,
  wishes: Wishes,
  { through, near }: Wanted,
): Promise<Beginning> {
  const { archives, fromSnapshot } = wishes;
  const left = await log.run(readLeft);
  const found = await startOf(log, wishes, left, { through, near });
  const start = found === null ? null : { seq: found.rows.headSeq, hash: found.hash };
  const lowest = archives.length > 0 ? null : left.base;
  // What is there below a snapshot is checked too, unless whoever asked trusts the snapshot.
  const from = fromSnapshot && start !== null ? start : lowest;
  return {
    ...{ from, start, left },
    state: found === null ? emptyState() : restore(found.rows),
    lacks: found?.lacks ?? [],
    pages: pagesOf({ archives, run: log.run, left, after: from?.seq ?? 0, through }),
  };
}

/**
 * From empty, from the rows that archives give, or from a snapshot that was proven: one that was not may hold the
 * very damage that is looked for. Of those the lowest, so that as much as possible is looked at; the newest for
 * whoever asks for it. One of an older version, which lacks columns, only where nothing else is left.
 */
async function startOf(
  { run }: LogSession,
  { archives, fromSnapshot }: Wishes,
  { base }: Left,
  { through, near }: Wanted,
): Promise<Start | null> {
  const archived = archives.length > 0;
  const fromEmpty = archived || base === null;
  const newest = fromSnapshot || (near && !archived);
  if (fromEmpty && !newest) return null;
  const atLeast = fromEmpty ? 0 : base.seq;
  const prefer = newest ? 'newest' : 'lowest';
  const bounds = { atLeast, atMost: through, prefer, needed: !fromEmpty } as const;
  const { seq } = await run((sql) => provenSnapshot(sql, bounds));
  if (seq !== null) return run((sql) => loadSnapshot(sql, seq));
  if (fromEmpty) return null;
  throw new UsageError(
    `rows up to ${base.seq} were detached and no proven snapshot stands for them up to ${through}; give --archive FILE`,
  );
}
