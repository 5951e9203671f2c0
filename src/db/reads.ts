/**
 * What operators and manifest readers ask for: plain reads of the state tables, the log and the artifacts.
 * Lists are bounded and walked by key, never by offset.
 */
import type { Sql } from './driver.ts';

export interface RolloutListRow {
  rollout_id: string;
  channel: string;
  state: string;
  current_wave: number;
  opened_at: string;
  ordinal: number;
  host_states: Record<string, string>;
}

/** Newest first, below an ordinal. */
export async function listRollouts(
  sql: Sql,
  below: number,
  limit: number,
): Promise<RolloutListRow[]> {
  return sql<RolloutListRow[]>`
    SELECT o.rollout_id, o.channel, o.state, o.current_wave, o.opened_at, o.ordinal,
      (SELECT coalesce(json_object_agg(hr.hostname, hr.state ORDER BY hr.hostname), '{}')
        FROM host_rollout hr WHERE hr.rollout_id = o.rollout_id) AS host_states
    FROM (SELECT * FROM rollout WHERE ordinal < ${below} AND state <> 'Pruned'
          ORDER BY ordinal DESC LIMIT ${limit}) o
    ORDER BY o.ordinal DESC`;
}

export async function rolloutExists(sql: Sql, rolloutId: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM rollout WHERE rollout_id = ${rolloutId}`;
  return rows.length > 0;
}

export interface RolloutHostRow {
  hostname: string;
  channel: string;
  wave: number;
  target_closure: string;
  channel_ref: string;
  dispatched_at: string;
  terminal_state: string | null;
  terminal_at: string | null;
}

/** Hosts of a rollout that were dispatched, in order of wave and name. */
export async function listRolloutHosts(sql: Sql, rolloutId: string): Promise<RolloutHostRow[]> {
  return sql<RolloutHostRow[]>`
    SELECT hr.hostname, hr.channel, hr.wave, hr.target_closure, o.channel_ref, hr.dispatched_at,
      CASE WHEN hr.state IN ('Converged', 'Failed', 'Reverted') THEN hr.state END AS terminal_state,
      CASE hr.state WHEN 'Converged' THEN hr.converged_at WHEN 'Failed' THEN hr.failed_at
        WHEN 'Reverted' THEN hr.reverted_at END AS terminal_at
    FROM host_rollout hr JOIN rollout o ON o.rollout_id = hr.rollout_id
    WHERE hr.rollout_id = ${rolloutId} AND hr.dispatched_at IS NOT NULL
    ORDER BY hr.wave, hr.hostname`;
}

export interface LogRow {
  seq: number;
  ts: string;
  kind: string;
  hostname: string | null;
  payload: unknown;
}

/** A rollout's log rows in order, above a seq. */
export async function listRolloutEvents(
  sql: Sql,
  rolloutId: string,
  above: number,
  limit: number,
): Promise<LogRow[]> {
  return sql<LogRow[]>`
    SELECT seq, ts, kind, hostname, payload FROM event_log
    WHERE rollout_id = ${rolloutId} AND seq > ${above} ORDER BY seq LIMIT ${limit}`;
}

/** Changes when the database is restored; null before the first leader. */
export async function readIncarnation(sql: Sql): Promise<string | null> {
  const [row] = await sql<{ incarnation: string }[]>`SELECT incarnation FROM epoch`;
  return row?.incarnation ?? null;
}

export interface HostListRow {
  hostname: string;
  channel: string;
  declared: string | null;
  reported_closure: string | null;
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

/**
 * Hosts by name, above a name: those that the fleet in force declares and those that ever spoke. Its
 * declaration is read from the signed bytes, which are served anyway.
 */
export async function listHosts(sql: Sql, above: string, limit: number): Promise<HostListRow[]> {
  return sql<HostListRow[]>`
    WITH declared AS (
      SELECT d.key AS hostname, d.value->>'channel' AS channel, d.value->>'closureHash' AS closure
      FROM artifact a, json_each(convert_from(a.bytes, 'UTF8')::json->'hosts') d
      WHERE a.kind = 'fleet' AND a.current
    ), names AS (
      SELECT hostname FROM declared WHERE hostname > ${above}
      UNION SELECT hostname FROM host WHERE hostname > ${above}
      ORDER BY 1 LIMIT ${limit}
    ), newest AS (
      SELECT DISTINCT ON (hr.hostname) hr.* FROM host_rollout hr
      JOIN names USING (hostname) JOIN rollout o USING (rollout_id)
      ORDER BY hr.hostname, o.ordinal DESC
    ), failing AS (
      SELECT f.hostname, count(*) FILTER (WHERE f.control_id = '') AS probes,
        count(*) FILTER (WHERE f.control_id <> '') AS controls
      FROM probe_failure f JOIN names USING (hostname) GROUP BY 1
    )
    SELECT n.hostname, coalesce(d.channel, r.channel, '') AS channel, d.closure AS declared,
      h.reported_closure, p.heard_at, p.uptime_secs, r.rollout_id, r.state, r.target_closure,
      r.last_event_seq, coalesce(f.probes, 0) AS probe_failures,
      coalesce(f.controls, 0) AS control_failures, q.closure IS NOT NULL AS quarantined
    FROM names n
    LEFT JOIN declared d USING (hostname)
    LEFT JOIN host h USING (hostname)
    LEFT JOIN presence p USING (hostname)
    LEFT JOIN newest r USING (hostname)
    LEFT JOIN failing f USING (hostname)
    LEFT JOIN quarantine q ON q.channel = d.channel AND q.closure = d.closure
    ORDER BY n.hostname`;
}

/** A verified file as it is served. `version` changes whenever its bytes or its signature do. */
export interface ArtifactRow {
  version: string;
  bytes: Uint8Array;
  signature: Uint8Array;
}

/** `fleet.resolved`, or a rollout's id. */
export type ServedArtifact =
  | { readonly kind: 'fleet'; readonly name: 'fleet.resolved' }
  | { readonly kind: 'manifest'; readonly name: string };

/** The version that is served under this name now; null when there is none. */
export async function currentArtifactVersion(
  sql: Sql,
  { kind, name }: ServedArtifact,
): Promise<string | null> {
  const [row] = await sql<{ version: string }[]>`
    SELECT hash || ' ' || verified_at::text AS version FROM artifact
    WHERE kind = ${kind} AND name = ${name} AND current`;
  return row?.version ?? null;
}

export async function readCurrentArtifact(
  sql: Sql,
  { kind, name }: ServedArtifact,
): Promise<ArtifactRow | null> {
  const [row] = await sql<ArtifactRow[]>`
    SELECT hash || ' ' || verified_at::text AS version, bytes, signature FROM artifact
    WHERE kind = ${kind} AND name = ${name} AND current`;
  return row ?? null;
}

/** True once a verified fleet is in store: before, there is nothing to serve. */
export async function hasFleet(sql: Sql): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM artifact WHERE kind = 'fleet' AND current LIMIT 1`;
  return rows.length > 0;
}
