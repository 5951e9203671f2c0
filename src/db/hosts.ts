/** Hosts as operators list them: those that the fleet in force declares, and those that ever spoke. */
import type { Sql } from './driver.ts';
import { isListedAs, word } from './states.ts';

export interface HostListRow {
  hostname: string;
  /** That declares it now; empty: none does. */
  channel: string;
  declared: string | null;
  reported_closure: string | null;
  reachability: string | null;
  held: boolean;
  heard_at: string | null;
  uptime_secs: number | null;
  rollout_id: string | null;
  state: string | null;
  closed: string | null;
  /** These are of the newest rollout of that channel: what `countHosts` counts it by. */
  is_counted: boolean;
  target_closure: string | null;
  last_event_seq: number | null;
  probe_failures: number;
  control_failures: number;
  quarantined: boolean;
}

type Reachability = 'never' | 'reachable' | 'unreachable';

export interface HostFilter {
  /** Names above this one. */
  readonly above: string;
  readonly limit: number;
  readonly channel: string | null;
  /** Names that begin so. */
  readonly prefix: string | null;
  readonly reachability: Reachability | null;
  /** In the newest rollout of its channel; `closed` is one. */
  readonly state: string | null;
}

/**
 * Hosts by name. The page's names are found first, from two indexes: declared hosts, and between the first
 * and the last of them whoever spoke without being declared.
 */
export async function listHosts(sql: Sql, filter: HostFilter): Promise<HostListRow[]> {
  return sql<HostListRow[]>`
    WITH ${pageOf(sql, filter)}, newest AS (
      SELECT DISTINCT ON (hr.hostname) hr.*, c.channel IS NOT NULL AS is_counted FROM host_rollout hr
      JOIN page USING (hostname) JOIN rollout o USING (rollout_id)
      LEFT JOIN channel c ON c.channel = page.channel AND c.current_rollout_id = hr.rollout_id
      ORDER BY hr.hostname, c.channel IS NULL, o.ordinal DESC
    ), failing AS (
      SELECT f.hostname, count(*) FILTER (WHERE f.control_id = '') AS probes,
        count(*) FILTER (WHERE f.control_id <> '') AS controls
      FROM probe_failure f JOIN page USING (hostname) GROUP BY 1
    )
    SELECT n.hostname, coalesce(n.channel, '') AS channel, n.closure AS declared,
      h.reported_closure, h.reachability, h.hold IS NOT NULL AS held, p.heard_at, p.uptime_secs,
      r.rollout_id, r.state, r.closed, r.target_closure, r.last_event_seq,
      coalesce(r.is_counted, false) AS is_counted,
      coalesce(f.probes, 0) AS probe_failures, coalesce(f.controls, 0) AS control_failures,
      q.closure IS NOT NULL AS quarantined
    FROM page n
    LEFT JOIN host h USING (hostname)
    LEFT JOIN presence p USING (hostname)
    LEFT JOIN newest r USING (hostname)
    LEFT JOIN failing f USING (hostname)
    LEFT JOIN quarantine q ON q.channel = n.channel AND q.closure = n.closure
    ORDER BY n.hostname`;
}

function pageOf(sql: Sql, filter: HostFilter) {
  const { above, limit, channel, state } = filter;
  const known = sql`known AS MATERIALIZED (${state === null ? declared(sql, filter) : moving(sql, filter, state)})`;
  // Who is not declared is in no channel, and so in no newest rollout of one.
  if (channel !== null || state !== null) return sql`${known}, page AS (SELECT * FROM known)`;
  return sql`
    ${known}, page AS (
      SELECT * FROM known UNION ALL (
        SELECT s.hostname, NULL, NULL FROM host s WHERE s.hostname > ${above} ${named(sql, filter, 's')}
          ${heard(sql, filter, 's')} AND (s.hostname < (SELECT max(hostname) FROM known)
            OR (SELECT count(*) FROM known) < ${limit})
          AND NOT EXISTS (SELECT FROM declared_host d WHERE d.hostname = s.hostname)
        ORDER BY s.hostname LIMIT ${limit}
      ) ORDER BY 1 LIMIT ${limit}
    )`;
}

function declared(sql: Sql, filter: HostFilter) {
  const { above, limit, channel } = filter;
  return sql`
    SELECT d.hostname, d.channel, d.closure FROM declared_host d
    WHERE d.hostname > ${above} ${channel === null ? sql`` : sql`AND d.channel = ${channel}`}
      ${named(sql, filter, 'd')} ${heard(sql, filter, 'd')}
    ORDER BY d.hostname LIMIT ${limit}`;
}

/**
 * Channel by channel, so that all that is compared stands in an index in order of names: the walk ends with
 * the page, and where few match each index is read once.
 */
function moving(sql: Sql, filter: HostFilter, state: string) {
  const { above, limit, channel } = filter;
  return sql`
    SELECT f.* FROM channel c CROSS JOIN LATERAL (
      SELECT d.hostname, d.channel, d.closure FROM declared_host d
      JOIN host_rollout m ON m.rollout_id = c.current_rollout_id AND m.hostname = d.hostname
      WHERE d.channel = c.channel AND m.hostname > ${above} AND ${isListedAs(sql, 'm', state)}
        ${named(sql, filter, 'd')} ${heard(sql, filter, 'd')}
      ORDER BY m.hostname LIMIT ${limit}
    ) f ${channel === null ? sql`` : sql`WHERE c.channel = ${channel}`} ORDER BY f.hostname LIMIT ${limit}`;
}

function named(sql: Sql, { prefix }: HostFilter, from: 'd' | 's') {
  return prefix === null ? sql`` : sql`AND starts_with(${sql.unsafe(from)}.hostname, ${prefix})`;
}

/** Of a host that never spoke there may be no row. */
function heard(sql: Sql, { reachability }: HostFilter, from: 'd' | 's') {
  if (reachability === null) return sql``;
  const same = sql`SELECT FROM host x WHERE x.hostname = ${sql.unsafe(from)}.hostname`;
  return reachability === 'never'
    ? sql`AND NOT EXISTS (${same} AND x.reachability <> 'never')`
    : sql`AND EXISTS (${same} AND x.reachability = ${word(sql, reachability)})`;
}

export interface HostSeenRow {
  readonly channel: string | null;
  readonly declared: string | null;
  readonly heardAt: string | null;
  readonly uptimeSecs: number | null;
  readonly agentVersion: string | null;
}

/** What is known of one host beside its records; no row when it is neither declared nor was ever heard. */
export async function readHostSeen(sql: Sql, hostname: string): Promise<readonly HostSeenRow[]> {
  return sql<HostSeenRow[]>`
    SELECT d.channel, d.closure AS declared, p.heard_at AS "heardAt", p.uptime_secs AS "uptimeSecs",
      p.agent_version AS "agentVersion"
    FROM (SELECT ${hostname}::text AS hostname) n
    LEFT JOIN declared_host d USING (hostname) LEFT JOIN presence p USING (hostname)
    WHERE d.hostname IS NOT NULL OR p.hostname IS NOT NULL`;
}
