/** Hosts as operators list them: those that the fleet in force declares, and those that ever spoke. */
import type { Sql } from './driver.ts';

export interface HostListRow {
  hostname: string;
  channel: string;
  declared: string | null;
  reported_closure: string | null;
  reachability: string | null;
  held: boolean;
  heard_at: string | null;
  uptime_secs: number | null;
  rollout_id: string | null;
  state: string | null;
  target_closure: string | null;
  last_event_seq: number | null;
  probe_failures: number;
  control_failures: number;
  quarantined: boolean;
}

export interface HostFilter {
  /** Names above this one. */
  readonly above: string;
  readonly limit: number;
  readonly channel: string | null;
  /** Names that begin so. */
  readonly prefix: string | null;
  readonly reachability: string | null;
  /** In the newest rollout of its channel. */
  readonly state: string | null;
}

/**
 * Hosts by name. The page's names are found first, from two indexes: declared hosts, and between the first
 * and the last of them whoever spoke without being declared.
 */
export async function listHosts(sql: Sql, filter: HostFilter): Promise<HostListRow[]> {
  return sql<HostListRow[]>`
    WITH ${pageOf(sql, filter)}, newest AS (
      SELECT DISTINCT ON (hr.hostname) hr.* FROM host_rollout hr
      JOIN page USING (hostname) JOIN rollout o USING (rollout_id)
      ORDER BY hr.hostname, o.ordinal DESC
    ), failing AS (
      SELECT f.hostname, count(*) FILTER (WHERE f.control_id = '') AS probes,
        count(*) FILTER (WHERE f.control_id <> '') AS controls
      FROM probe_failure f JOIN page USING (hostname) GROUP BY 1
    )
    SELECT n.hostname, coalesce(n.channel, r.channel, '') AS channel, n.closure AS declared,
      h.reported_closure, h.reachability, h.hold IS NOT NULL AS held, p.heard_at, p.uptime_secs,
      r.rollout_id, r.state, r.target_closure, r.last_event_seq,
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
  const inChannel = channel === null ? sql`` : sql`AND d.channel = ${channel}`;
  const known = sql`
    known AS MATERIALIZED (
      SELECT d.hostname, d.channel, d.closure FROM declared_host d ${matching(sql, filter, 'd')}
        ${inChannel} AND d.hostname > ${above} ORDER BY d.hostname LIMIT ${limit}
    )`;
  // Who is not declared is in no channel, and so in no newest rollout of one.
  if (channel !== null || state !== null) return sql`${known}, page AS (SELECT * FROM known)`;
  return sql`
    ${known}, page AS (
      SELECT * FROM known UNION ALL (
        SELECT s.hostname, NULL, NULL FROM host s ${matching(sql, filter, 's')}
          AND s.hostname > ${above} AND (s.hostname < (SELECT max(hostname) FROM known)
            OR (SELECT count(*) FROM known) < ${limit})
          AND NOT EXISTS (SELECT FROM declared_host d WHERE d.hostname = s.hostname)
        ORDER BY s.hostname LIMIT ${limit}
      ) ORDER BY 1 LIMIT ${limit}
    )`;
}

/** Joins and the beginning of the WHERE clause, for names out of `d` or `s`. */
function matching(sql: Sql, { prefix, reachability, state }: HostFilter, from: 'd' | 's') {
  const name = sql.unsafe(`${from}.hostname`);
  const spoke = reachability === null ? sql`` : sql`LEFT JOIN host x ON x.hostname = ${name}`;
  const heard =
    reachability === null ? sql`` : sql`AND coalesce(x.reachability, 'never') = ${reachability}`;
  const begins = prefix === null ? sql`` : sql`AND starts_with(${name}, ${prefix})`;
  const moving =
    state === null
      ? sql``
      : sql`JOIN channel c ON c.channel = d.channel
          JOIN host_rollout m ON m.rollout_id = c.current_rollout_id AND m.hostname = d.hostname
            AND m.state = ${state}`;
  return sql`${moving} ${spoke} WHERE true ${heard} ${begins}`;
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
