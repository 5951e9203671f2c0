/** Rollouts as operators list them. Walked by key, newest first. */
import { isHeld } from './blocked.ts';
import type { Sql } from './driver.ts';
import { isListedAs } from './states.ts';

export interface RolloutListRow {
  rollout_id: string;
  seq: number;
  channel: string;
  state: string;
  current_wave: number;
  waves: number;
  opened_at: string;
  ordinal: number;
  /** A JSON object, host name to state, as text: for 100,000 hosts, reading it costs more than making it. */
  host_states: string | null;
  /** Rollouts found up to the limit; more than rows when the hosts of these are enough for a page. */
  found: number;
}

export interface RolloutFilter {
  readonly belowOrdinal: number;
  readonly limit: number;
  readonly channel: string | null;
  /** The beginning of their ref. */
  readonly ref: string | null;
  /** Null: all but pruned ones, of which nothing but their ids is left to see. */
  readonly state: string | null;
  /** Include the state of every host, for as many rollouts as hold this many hosts together; 0: of none. */
  readonly hosts: number;
}

/**
 * Of a rollout `o`: the `seq` that its commands may expect, as the core says it (`reducer/state/last-change.ts`). Only
 * for one that is halted it takes a walk over its hosts.
 */
function lastChange(sql: Sql) {
  return sql`
    greatest(o.seq, CASE WHEN o.state IN ('Failed', 'Reverted') THEN (
      SELECT max(hr.seq) FROM host_rollout hr WHERE hr.rollout_id = o.rollout_id
        AND hr.closed IS NULL AND NOT hr.cleared AND hr.state IN ('Failed', 'Reverted')) END)`;
}

/** Newest first, below an ordinal; at least one rollout of a page has all its hosts. */
export async function listRollouts(sql: Sql, filter: RolloutFilter): Promise<RolloutListRow[]> {
  const { belowOrdinal, limit, channel, ref, state, hosts } = filter;
  const states = sql`
    (SELECT coalesce(json_object_agg(hr.hostname,
        CASE WHEN hr.closed IS NULL THEN hr.state ELSE 'closed' END)::text, '{}')
      FROM host_rollout hr WHERE hr.rollout_id = o.rollout_id)`;
  const size = sql`
    (SELECT count(*) FROM (SELECT FROM host_rollout hr WHERE hr.rollout_id = o.rollout_id
      LIMIT ${hosts}) AS few)`;
  return sql<RolloutListRow[]>`
    SELECT o.rollout_id, ${lastChange(sql)} AS seq, o.channel, o.state, o.current_wave, o.opened_at, o.ordinal,
      json_array_length(o.plan->'soakMinutes') AS waves, o.found::int,
      ${hosts === 0 ? sql`NULL::text` : states} AS host_states
    FROM (
      SELECT *, count(*) OVER () AS found,
        ${hosts === 0 ? sql`0` : sql`sum(size) OVER (ORDER BY ordinal DESC) - size`} AS before
      FROM (
        SELECT *,
        ${hosts === 0 ? sql`0` : size} AS size FROM rollout o
        WHERE ordinal < ${belowOrdinal}
          ${channel === null ? sql`` : sql`AND channel = ${channel}`}
          ${ref === null ? sql`` : sql`AND starts_with(channel_ref, ${ref})`}
          ${state === null ? sql`AND state <> 'Pruned'` : sql`AND state = ${state}`}
        ORDER BY ordinal DESC LIMIT ${limit}
      ) sized
    ) o
    WHERE o.before <= 0 OR o.before < ${hosts}
    ORDER BY o.ordinal DESC`;
}

export interface RolloutRow {
  readonly rolloutId: string;
  readonly seq: number;
  readonly channel: string;
  readonly channelRef: string;
  readonly state: string;
  readonly currentWave: number;
  readonly openedAt: string;
  readonly signedAt: string;
  readonly supersededAt: string | null;
  readonly supersededBy: string | null;
  readonly terminalAt: string | null;
  readonly failedAt: string | null;
  readonly endedAt: string | null;
  readonly exceptions: Record<string, number> | null;
  readonly blockers: readonly string[];
  /** Of `plan`. */
  readonly policy: string;
  readonly onHealthFailure: string;
  readonly maxFailures: number;
  readonly soakMinutes: readonly number[];
}

export async function readRollout(sql: Sql, rolloutId: string): Promise<RolloutRow | null> {
  const [row] = await sql<RolloutRow[]>`
    SELECT rollout_id AS "rolloutId", ${lastChange(sql)} AS seq, channel, channel_ref AS "channelRef", state,
      current_wave AS "currentWave", opened_at AS "openedAt", signed_at AS "signedAt",
      superseded_at AS "supersededAt", superseded_by AS "supersededBy",
      terminal_at AS "terminalAt", failed_at AS "failedAt", ended_at AS "endedAt", exceptions,
      blockers, plan->>'policy' AS policy, plan->>'onHealthFailure' AS "onHealthFailure",
      (plan->>'maxFailures')::int AS "maxFailures", plan->'soakMinutes' AS "soakMinutes"
    FROM rollout o WHERE rollout_id = ${rolloutId}`;
  return row ?? null;
}

export interface WaveCountRow {
  readonly wave: number;
  readonly state: string;
  readonly n: number;
}

/** How many hosts of each wave are in each state; closed records count as `closed`. */
export async function countWaves(sql: Sql, rolloutId: string): Promise<readonly WaveCountRow[]> {
  return sql<WaveCountRow[]>`
    SELECT wave, CASE WHEN closed IS NULL THEN state ELSE 'closed' END AS state, count(*)::int AS n
    FROM host_rollout WHERE rollout_id = ${rolloutId} GROUP BY 1, 2 ORDER BY 1, 2`;
}

export interface RolloutHostRow {
  hostname: string;
  channel: string;
  wave: number;
  state: string;
  closed: string | null;
  target_closure: string;
  channel_ref: string;
  dispatched_at: string | null;
  soak_due_at: string | null;
  terminal_state: string | null;
  terminal_at: string | null;
  blocked: boolean;
}

export interface RolloutHostFilter {
  /** Above this wave and name. */
  readonly above: readonly [wave: number, hostname: string];
  readonly limit: number;
  /** Hosts that were not dispatched too. */
  readonly all: boolean;
  readonly wave: number | null;
  readonly state: string | null;
}

/** Hosts of a rollout in order of wave and name. */
export async function listRolloutHosts(
  sql: Sql,
  rolloutId: string,
  { above, limit, all, wave, state }: RolloutHostFilter,
): Promise<RolloutHostRow[]> {
  return sql<RolloutHostRow[]>`
    SELECT r.hostname, r.channel, r.wave, r.state, r.closed, r.target_closure, o.channel_ref,
      r.dispatched_at, r.soak_due_at,
      CASE WHEN r.state IN ('Converged', 'Failed', 'Reverted') THEN r.state END AS terminal_state,
      CASE r.state WHEN 'Converged' THEN r.converged_at WHEN 'Failed' THEN r.failed_at
        WHEN 'Reverted' THEN r.reverted_at END AS terminal_at,
      ${isHeld(sql)} AS blocked
    FROM host_rollout r JOIN rollout o ON o.rollout_id = r.rollout_id
    LEFT JOIN host h ON h.hostname = r.hostname
    WHERE r.rollout_id = ${rolloutId} AND (r.wave, r.hostname) > (${above[0]}, ${above[1]})
      ${all ? sql`` : sql`AND r.dispatched_at IS NOT NULL`}
      ${wave === null ? sql`` : sql`AND r.wave = ${wave}`}
      ${state === null ? sql`` : sql`AND ${isListedAs(sql, 'r', state)}`}
    ORDER BY r.wave, r.hostname LIMIT ${limit}`;
}
