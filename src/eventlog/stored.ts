/**
 * The log as it is stored: every column, the payload as text, so that it can be hashed, and the hash. Walked
 * in pages, the next being read while the last is worked on.
 */
import type { Sql } from '../db/driver.ts';
import type { LogKind } from '../reducer/log.ts';
import { decodePayload } from '../wire/log.ts';
import type { ChainRow } from './chain.ts';
import type { LogRow } from './read.ts';

export interface StoredRow extends ChainRow {
  readonly kind: LogKind;
  readonly hash: Buffer;
}

export type Run = <T>(read: (sql: Sql) => Promise<T>) => Promise<T>;

export interface WalkOptions {
  /** Rows above this seq. */
  readonly after: number;
  /** Up to and with this seq; Infinity is the head. */
  readonly through: number;
  /** Rows of a page: what one stretch of work takes. */
  readonly pageRows?: number;
}

/** Some 2 MB, worked through in about 100 ms; a process that serves takes less. */
const PAGE_ROWS = 5_000;

/** Pages in order of seq; the last may be empty. */
export function walkStored(run: Run, options: WalkOptions): AsyncGenerator<StoredRow[]> {
  return walk(run, 'event_log', options);
}

const WHOLE: WalkOptions = { after: 0, through: Infinity };

/** The rows of a partition that was detached. */
export function walkDetached(
  run: Run,
  table: string,
  options: WalkOptions = WHOLE,
): AsyncGenerator<StoredRow[]> {
  return walk(run, table, options);
}

async function* walk(run: Run, table: string, options: WalkOptions): AsyncGenerator<StoredRow[]> {
  const { through, pageRows = PAGE_ROWS } = options;
  const bound = Math.min(through, Number.MAX_SAFE_INTEGER);
  const read = (after: number): Promise<StoredRow[]> =>
    run((sql) => readStored(sql, table, { after, through: bound, limit: pageRows }));
  let page = await read(options.after);
  for (;;) {
    const last = page.at(-1);
    if (last === undefined) return;
    const next = page.length < pageRows ? Promise.resolve([]) : read(last.seq);
    next.catch(() => undefined); // heard below, unless the walk ends here
    yield page;
    page = await next;
  }
}

async function readStored(
  sql: Sql,
  table: string,
  { after, through, limit }: { after: number; through: number; limit: number },
): Promise<StoredRow[]> {
  const rows = await sql<StoredRow[]>`
    SELECT seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor,
      caused_by AS "causedBy", payload::text AS payload, hash
    FROM ${sql(table)} WHERE seq > ${after} AND seq <= ${through} ORDER BY seq LIMIT ${limit}`;
  return [...rows];
}

/** The row with its payload read; throws on what no version of Muster wrote. */
export function openRow({ payload, hash: _, ...row }: StoredRow): LogRow {
  return { ...row, ...decodePayload(JSON.parse(payload), row) };
}
