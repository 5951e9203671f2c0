/**
 * Which rows of the log are about one host: its own, those that name it among others (a gate's decision on
 * hundreds of hosts is one row), and pauses of its channel or of the whole fleet. One rule, twice: for a page in
 * SQL, and for a stream in memory.
 */
import type { Sql } from '../db/driver.ts';
import { isJsonObject } from '../wire/text.ts';
import type { TailQuery, TailRow } from './tail.ts';

export interface AboutHost {
  readonly hostname: string;
  /** Where it is declared; null: nowhere, and no channel's pause is its own. */
  readonly channel: string | null;
}

/** Where a row that is about several hosts lists them: names, or objects with a `hostname`. */
const LISTS = ['hosts', 'cleared'] as const;
const OF_FLEET = ['PauseFleet', 'ResumeFleet'] as const;
const OF_CHANNEL = ['PauseChannel', 'ResumeChannel'] as const;

/** Between which rows a page may lie. */
export function withinOf(sql: Sql, { after, before }: Pick<TailQuery, 'after' | 'before'>) {
  return sql`
    ${after === null ? sql`` : sql`AND seq > ${after}`}
    ${before === undefined ? sql`` : sql`AND seq < ${before}`}`;
}

/** A row as it is read. */
export function columnsOf(sql: Sql) {
  return sql`
    seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor, caused_by AS "causedBy", payload`;
}

/**
 * Rows about a host, the first `limit` of them. Its own come first, by their index, and say how far the others need
 * be looked for: among the rows about several hosts, which have an index of their own, of each of its
 * rollouts and of none. Whether one that was pruned was its own, only these rows say. The quoted name in the text
 * of a row is looked for before anything is taken apart.
 */
export function rowsAbout(sql: Sql, about: AboutHost, query: TailQuery) {
  const { hostname } = about;
  const columns = columnsOf(sql);
  const { after, limit, kind, rolloutId } = query;
  const down = after === null ? sql`DESC` : sql``;
  // Written into the text: a parameter would keep a generic plan from its partial index.
  const asked = sql`
    ${kind === undefined ? sql`` : sql.unsafe(`AND kind = '${kind}'`)}
    ${rolloutId === undefined ? sql`` : sql`AND rollout_id = ${rolloutId}`}
    ${withinOf(sql, query)}`;
  const last = after === null ? sql`min(seq)` : sql`max(seq)`;
  const within = sql`
    hostname IS NULL ${asked} AND ((SELECT seq FROM last) IS NULL
      OR seq ${after === null ? sql`>=` : sql`<=`} (SELECT seq FROM last))`;
  return sql`
    WITH own AS MATERIALIZED (
      SELECT ${columns} FROM event_log WHERE hostname = ${hostname} ${asked}
      ORDER BY seq ${down} LIMIT ${limit}
    ), last AS MATERIALIZED (
      SELECT ${last} AS seq FROM own HAVING count(*) >= ${limit}
    )
    SELECT * FROM own
    UNION ALL
    SELECT shared.* FROM (
      SELECT rollout_id FROM host_rollout WHERE hostname = ${hostname}
      UNION SELECT rollout_id FROM rollout WHERE state = 'Pruned'
    ) r, LATERAL (
      SELECT ${columns} FROM event_log
      WHERE rollout_id = r.rollout_id AND ${within} AND ${names(sql, hostname)}
    ) shared
    UNION ALL
    SELECT ${columns} FROM event_log
    WHERE rollout_id IS NULL AND ${within} AND (${names(sql, hostname)} OR ${pauses(sql, about)})
    ORDER BY seq ${down} LIMIT ${limit}`;
}

/** Of this file; nothing that anybody sent. */
function words(sql: Sql, of: readonly string[]) {
  return sql.unsafe(of.map((word) => `'${word}'`).join());
}

function names(sql: Sql, hostname: string) {
  return sql`(
    position(${`"${hostname}"`} IN payload::text) > 0 AND EXISTS (
      SELECT FROM unnest(ARRAY[${words(sql, LISTS)}]) AS list, json_array_elements(
        CASE json_typeof(payload->list) WHEN 'array' THEN payload->list ELSE '[]' END) AS entry
      WHERE entry #>> '{}' = ${hostname} OR entry->>'hostname' = ${hostname}
    ))`;
}

function pauses(sql: Sql, { channel }: AboutHost) {
  const given = sql`payload->'command'->>'command'`;
  return sql`(kind = 'operator_command' AND (
    ${given} IN (${words(sql, OF_FLEET)})
      OR channel = ${channel} AND ${given} IN (${words(sql, OF_CHANNEL)})))`;
}

/** The same choice in memory. */
export function isAbout(row: TailRow, { hostname, channel }: AboutHost): boolean {
  if (row.hostname !== null) return row.hostname === hostname;
  if (!isJsonObject(row.payload)) return false;
  const { payload } = row;
  if (LISTS.some((list) => isIn(payload[list], hostname))) return true;
  const { command } = payload;
  const name = isJsonObject(command) ? command['command'] : null;
  if (row.kind !== 'operator_command') return false;
  return (
    OF_FLEET.some((one) => one === name) ||
    (row.channel === channel && OF_CHANNEL.some((one) => one === name))
  );
}

function isIn(list: unknown, hostname: string): boolean {
  return (
    Array.isArray(list) &&
    list.some((one) => one === hostname || (isJsonObject(one) && one['hostname'] === hostname))
  );
}
