/**
 * Following the log. One statement reads rows, the head, the floor and the incarnation, so that they are of
 * one moment: `seq` is the order of commits (one writer assigns it, under a fence), hence whoever has seen
 * everything up to a head never finds a lower seq later.
 */
import type { Sql } from '../db/driver.ts';
import type { LogKind } from '../reducer/log.ts';
import type { Time } from '../reducer/time.ts';
import type { Omitted } from '../wire/log-event.ts';
import { columnsOf, isAbout, rowsAbout, withinOf, type AboutHost } from './about-host.ts';
import { isFull, pageOf, type PageQuery } from './large-rows.ts';

export interface TailRow {
  readonly seq: number;
  readonly ts: Time;
  readonly epoch: number;
  readonly kind: LogKind;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  readonly channel: string | null;
  readonly actor: string | null;
  readonly causedBy: number | null;
  /** Parsed, with `v` and `changes`. */
  readonly payload: unknown;
  /** Members of a large payload that were left out; absent or null: none. */
  readonly omitted?: Omitted | null;
}

export interface TailFilter {
  readonly kind?: LogKind | undefined;
  readonly rolloutId?: string | undefined;
  readonly host?: AboutHost | undefined;
}

export interface TailQuery extends TailFilter, PageQuery {
  /** Rows above this seq, lowest first; null: the newest rows. */
  readonly after: number | null;
  /** Of the newest rows, those below this seq. */
  readonly before?: number | undefined;
  /** Fewer are read where they are large. */
  readonly limit: number;
  /** Large rows with all they hold; else they are in brief. */
  readonly whole?: boolean;
}

export interface Tail {
  readonly incarnation: string;
  /** seq of the last row there is; 0 for none. */
  readonly head: number;
  /** seq of the first row that retention has left; 1 while it has detached none. */
  readonly floor: number;
  /** In order of seq. */
  readonly rows: readonly TailRow[];
  /** There may be more that match, in the direction that was read. */
  readonly more: boolean;
}

type Joined = Omit<Tail, 'rows' | 'more'> &
  ((TailRow & { readonly upto: number }) | { readonly seq: null });

/** Null before the first leader: there is no log yet. */
export async function readTail(sql: Sql, query: TailQuery): Promise<Tail | null> {
  const asked =
    query.host === undefined
      ? sql`SELECT ${columnsOf(sql)} FROM event_log WHERE true ${matching(sql, query)} ${placeOf(sql, query)} LIMIT ${query.limit}`
      : rowsAbout(sql, query.host, query);
  const found = await sql<Joined[]>`
    SELECT e.incarnation,
      coalesce((SELECT seq FROM event_log ORDER BY seq DESC LIMIT 1), 0) AS head,
      coalesce((SELECT seq FROM event_log ORDER BY seq LIMIT 1), 1) AS floor, l.*
    FROM epoch e LEFT JOIN LATERAL (${pageOf(sql, asked, query)}
    ) l ON true ORDER BY l.seq`;
  const [first] = found;
  if (first === undefined) return null;
  const { incarnation, head, floor } = first;
  const rows = found.flatMap((row) => (row.seq === null ? [] : [rowOf(row)]));
  const more =
    rows.length === query.limit || found.some((row) => row.seq !== null && isFull(row.upto));
  return { incarnation, head, floor, rows, more };
}

function rowOf(joined: Joined & TailRow): TailRow {
  const { seq, ts, epoch, kind, hostname, rolloutId, channel, actor, causedBy } = joined;
  const { payload, omitted = null } = joined;
  const row = { seq, ts, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload };
  return omitted === null ? row : { ...row, omitted };
}

/** One rollout's rows are indexed by stretches of seqs (migration 0010): say them, and a page meets one or two. */
function placeOf(sql: Sql, query: TailQuery) {
  const beyond = withinOf(sql, query);
  const { after, before, rolloutId } = query;
  const down = after === null ? sql`DESC` : sql``;
  if (rolloutId === undefined) return sql`${beyond} ORDER BY seq ${down}`;
  const above = after === null ? sql`` : sql`AND (seq >> 12) >= (${after}::bigint >> 12)`;
  const below = before === undefined ? sql`` : sql`AND (seq >> 12) <= (${before}::bigint >> 12)`;
  return sql`${beyond} ${above} ${below} ORDER BY (seq >> 12) ${down}, seq ${down}`;
}

/** The kind is written into the text: a parameter would keep a generic plan from its partial index. */
function matching(sql: Sql, { kind, rolloutId }: TailFilter) {
  return sql`
    ${kind === undefined ? sql`` : sql.unsafe(`AND kind = '${kind}'`)}
    ${rolloutId === undefined ? sql`` : sql`AND rollout_id = ${rolloutId}`}`;
}

/** The same choice in memory. */
export function matches(row: TailRow, { kind, rolloutId, host }: TailFilter): boolean {
  return (
    (kind === undefined || row.kind === kind) &&
    (rolloutId === undefined || row.rolloutId === rolloutId) &&
    (host === undefined || isAbout(row, host))
  );
}
