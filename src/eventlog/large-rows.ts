/**
 * Rows that are large: the opening of a rollout assigns something to each of its hosts, a decision may name them all,
 * and of 100,000 hosts either is megabytes. Whoever reads the log is given such a row in brief, with its large members
 * left out and named, unless they ask for whole ones; and a page ends before it is large, whatever its rows are. One
 * rule, twice: for a page in SQL, so that what nobody asked for stays in the database, and for a row in memory.
 */
import type { Sql } from '../db/driver.ts';
import type { Omitted } from '../wire/log-event.ts';
import { isJsonObject } from '../wire/text.ts';
import type { rowsAbout } from './about-host.ts';

/** A payload up to this size is always whole: of one host hardly anything is larger. */
const WHOLE_BYTES = 64 * 1_024;
/** What a brief one keeps of its members: every fact that is no list of hosts. */
const MEMBER_BYTES = 4 * 1_024;
/** Of the payloads of one page: 1,000 usual rows are some 600 kB. */
const PAGE_BYTES = 1_024 * 1_024;

export interface PageQuery {
  /** Null: the newest rows are asked for, and the newest of them stay. */
  readonly after: number | null;
  readonly whole?: boolean;
}

/** Written into the text: a parameter would be one more for each plan to guess. */
function number(sql: Sql, n: number) {
  return sql.unsafe(String(n));
}

/** The rows of `asked` that fit into a page, from its beginning on; `upto` is what the page holds with this row. */
export function pageOf(sql: Sql, asked: ReturnType<typeof rowsAbout>, { after, whole }: PageQuery) {
  const weight = whole === true ? sql`bytes` : sql`least(bytes, ${number(sql, WHOLE_BYTES)})`;
  return sql`
    SELECT seq, ts, epoch, kind, hostname, "rolloutId", channel, actor, "causedBy", upto,
      ${payloadOf(sql, whole === true)}
    FROM (
      SELECT *, ${weight} AS weight,
        sum(${weight}) OVER (ORDER BY seq ${after === null ? sql`DESC` : sql``} ROWS UNBOUNDED PRECEDING) AS upto
      FROM (SELECT *, octet_length(payload::text) AS bytes FROM (${asked}) asked) sized
    ) page WHERE upto - weight < ${number(sql, PAGE_BYTES)}`;
}

/** Whether a page that holds this much has no room for another row. */
export function isFull(upto: number): boolean {
  return upto >= PAGE_BYTES;
}

/** The columns `payload` and `omitted` of a row with `payload` and `bytes`; only large ones are taken apart. */
function payloadOf(sql: Sql, whole: boolean) {
  if (whole) return sql`payload, NULL::json AS omitted`;
  const [limit, member] = [number(sql, WHOLE_BYTES), number(sql, MEMBER_BYTES)];
  return sql`
    CASE WHEN bytes <= ${limit} THEN payload ELSE (
      SELECT json_object_agg(key, value) FROM json_each(payload)
      WHERE octet_length(value::text) <= ${member}
    ) END AS payload,
    CASE WHEN bytes > ${limit} THEN (
      SELECT json_object_agg(key, json_strip_nulls(json_build_object('bytes', octet_length(value::text),
        'items', CASE json_typeof(value) WHEN 'array' THEN json_array_length(value) END)))
      FROM json_each(payload) WHERE octet_length(value::text) > ${member}
    ) END AS omitted`;
}

export interface Brief {
  readonly payload: unknown;
  /** Null: nothing was left out. */
  readonly omitted: Omitted | null;
}

/** Of a text with a payload in it, without counting: a character is three bytes at the most. */
export function isSurelySmall(text: string): boolean {
  return text.length * 3 <= WHOLE_BYTES;
}

/** The same of a payload in memory, as the log wrote it. */
export function inBrief(payload: unknown): Brief {
  const small = Buffer.byteLength(JSON.stringify(payload)) <= WHOLE_BYTES;
  if (small || !isJsonObject(payload)) return { payload, omitted: null };
  const kept: Record<string, unknown> = {};
  const omitted: Record<string, Omitted[string]> = {};
  for (const [name, value] of Object.entries(payload)) {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes <= MEMBER_BYTES) kept[name] = value;
    else omitted[name] = { bytes, ...(Array.isArray(value) ? { items: value.length } : {}) };
  }
  return { payload: kept, omitted: Object.keys(omitted).length === 0 ? null : omitted };
}
