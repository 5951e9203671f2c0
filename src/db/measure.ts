/** What one process measures for all: how rollouts get on, how fresh their manifests are, what holds back vacuum. */
import { isRollingBack } from './blocked.ts';
import type { Sql } from './driver.ts';
import { isUnderWay } from './states.ts';

export interface Idle {
  readonly rolloutId: string;
  /** When it last moved, and the soak of its wave was over; later than now where that goes on. */
  readonly since: string;
  /** Since then; 0 before. */
  readonly seconds: number;
}

/**
 * Of the rollouts that are under way and should move by themselves, the one in which nothing moved for longest. Null:
 * all get on.
 *
 * Told by its rows, not by the log: an agent whose probe flaps fills the log, and nothing moves.
 */
export async function readLongestIdle(sql: Sql): Promise<Idle | null> {
  const [row] = await sql<Idle[]>`
    WITH underway AS MATERIALIZED (
      SELECT r.rollout_id, r.opened_at, r.blockers::text AS blockers,
        coalesce((r.plan->'soakMinutes'->>r.current_wave)::float8, 0) AS soak
      FROM rollout r JOIN channel c ON c.channel = r.channel
      WHERE ${isUnderWay(sql, 'r')} AND c.pause IS NULL
        AND NOT EXISTS (SELECT FROM fleet WHERE pause IS NOT NULL)
    ), still AS MATERIALIZED (
      SELECT * FROM underway o WHERE NOT ${isMoving(sql)} AND NOT ${isBehindAnother(sql)}
    )
    SELECT o.rollout_id AS "rolloutId", s.since,
      greatest(0, extract(epoch FROM clock_timestamp() - s.since))::float8 AS seconds
    FROM still o
    LEFT JOIN LATERAL (SELECT max(${lastMoved(sql)}) AS at
      FROM host_rollout r WHERE r.rollout_id = o.rollout_id) moved ON true
    -- Nobody has waited for longer for what he waits for now: what held a rollout before was another matter.
    LEFT JOIN LATERAL (SELECT min(since) AS since
      FROM host_blocker b WHERE b.rollout_id = o.rollout_id) waits ON true,
      LATERAL (SELECT greatest(o.opened_at, moved.at, waits.since)
        + make_interval(secs => o.soak * 60) AS since) s
    ORDER BY s.since, o.rollout_id LIMIT 1`;
  return row ?? null;
}

/** Of a rollout `o`: somebody in it who is heard switches or soaks, and may get out of it by himself. */
function isMoving(sql: Sql) {
  return sql`
    EXISTS (SELECT FROM host_rollout r JOIN host h USING (hostname)
      WHERE r.rollout_id = o.rollout_id AND r.closed IS NULL AND h.reachability <> 'unreachable'
        AND (r.state = 'Activating' OR r.state = 'Soaking' AND NOT EXISTS (
          SELECT FROM host_blocker b WHERE b.rollout_id = r.rollout_id AND b.hostname = r.hostname
            AND b.gates::jsonb ? 'soak-overdue')))`;
}

/**
 * Of the same: it waits for nothing but another channel's rollout, by a channel edge. That one is under way, and is
 * measured itself, or is paused. Edges make no circle: such a set is refused.
 */
function isBehindAnother(sql: Sql) {
  return sql`
    (o.blockers = '[]'
      AND EXISTS (SELECT FROM host_blocker b, json_array_elements_text(b.gates) AS gate (key)
        JOIN channel g ON gate.key = 'channel-edges:' || g.channel
        JOIN rollout u ON u.rollout_id = g.current_rollout_id
        WHERE b.rollout_id = o.rollout_id AND b.gates::text LIKE '%"channel-edges:%'
          AND ${isUnderWay(sql, 'u')})
      AND NOT EXISTS (SELECT FROM dispatch d WHERE d.rollout_id = o.rollout_id)
      AND NOT EXISTS (SELECT FROM host_rollout r WHERE r.rollout_id = o.rollout_id
        AND r.closed IS NULL AND (r.state IN ('Activating', 'Soaking') OR ${isRollingBack(sql)})))`;
}

/** Of `host_rollout r`, by the control plane's clock. While a host soaks, its agent's word is no move. */
function lastMoved(sql: Sql) {
  return sql`
    greatest(r.dispatched_at, r.synthesised_at, CASE WHEN r.unchanged THEN r.converged_at END,
      CASE r.state WHEN 'Soaking' THEN r.completed_applied_at ELSE r.last_accepted_at END)`;
}

export interface Freshness {
  /** When the first channel's manifest is too old to grant a dispatch by. */
  readonly staleAt: string;
  /** Until then; negative: it is already. */
  readonly seconds: number;
}

/**
 * Null while no channel declares anything. `agentMinutes` is what agents accept at the most.
 *
 * What is declared, and what is under way: a rollout that is let finish first has a manifest of its own, which holds its
 * hosts when it goes stale (`planner/gates/manifest-stale.ts`), however often CI signs its successor's.
 */
export async function readFreshness(sql: Sql, agentMinutes: number): Promise<Freshness | null> {
  const [row] = await sql<Freshness[]>`
    WITH manifest AS (
      SELECT signed_at, freshness_window FROM channel
      WHERE declared_ref IS NOT NULL AND signed_at IS NOT NULL
      UNION ALL
      SELECT o.signed_at, c.freshness_window
      FROM channel c JOIN rollout o ON o.rollout_id = c.current_rollout_id
      WHERE ${isUnderWay(sql, 'o')} AND c.freshness_window > 0
    )
    SELECT at AS "staleAt", extract(epoch FROM at - clock_timestamp())::float8 AS seconds
    FROM (
      SELECT min(least(m.signed_at, f.signed_at)
        + make_interval(secs => (least(m.freshness_window, ${agentMinutes}::float8) + 1) * 60)) AS at
      FROM manifest m, fleet f
    ) AS first WHERE at IS NOT NULL`;
  return row ?? null;
}

/** How many pauses are in force, of the fleet and of channels. */
export async function countPauses(sql: Sql): Promise<{ fleet: number; channel: number }> {
  const [row] = await sql<{ fleet: number; channel: number }[]>`
    SELECT (SELECT count(*)::int FROM fleet WHERE pause IS NOT NULL) AS fleet,
      (SELECT count(*)::int FROM channel WHERE pause IS NOT NULL) AS channel`;
  return row ?? { fleet: 0, channel: 0 };
}

export interface Horizon {
  /** Transactions that began since the oldest snapshot that somebody holds: vacuum cleans nothing newer. */
  readonly transactions: number;
  /** Age of the oldest open transaction in this database, prepared ones too, as far as this role may see. */
  readonly seconds: number;
  /** Who has that one open; null: there is none. */
  readonly whose: string | null;
}

/** A standby's hot_standby_feedback shows at its walsender, which is in no database and holds back all of them. */
export async function readHorizon(sql: Sql): Promise<Horizon> {
  const [row] = await sql<Horizon[]>`
    SELECT greatest(
      coalesce((SELECT max(age(backend_xmin)) FROM pg_stat_activity
        WHERE datname = current_database() OR backend_type = 'walsender'), 0),
      coalesce((SELECT max(age(xmin)) FROM pg_replication_slots), 0),
      coalesce((SELECT max(age(transaction)) FROM pg_prepared_xacts
        WHERE database = current_database()), 0))::int AS transactions,
      coalesce(oldest.seconds, 0) AS seconds, oldest.whose
    FROM (SELECT) AS one LEFT JOIN LATERAL (
      SELECT extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
        format('session %s (%s, %s)', pid, usename, application_name) AS whose
      FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        -- Nobody is to end a commit that waits for its standby.
        AND wait_event IS DISTINCT FROM 'SyncRep'
      UNION ALL
      SELECT extract(epoch FROM clock_timestamp() - prepared)::float8,
        format('the prepared transaction %L (%s)', gid, owner)
      FROM pg_prepared_xacts WHERE database = current_database()
      ORDER BY seconds DESC LIMIT 1) AS oldest ON true`;
  return row ?? { transactions: 0, seconds: 0, whose: null };
}

/** Beyond it a person is told, as by the alert MusterLogAhead: clocks that are slewed are apart by less, and soaks are longer. */
export const LOG_AHEAD_SECONDS = 60;

/** Seconds by which the newest row of the log is later than the server's clock; 0: it is not. */
export async function readLogAhead(sql: Sql): Promise<number> {
  const [row] = await sql<{ seconds: number }[]>`
    SELECT greatest(0, extract(epoch FROM ts - clock_timestamp()))::float8 AS seconds
    FROM event_log ORDER BY seq DESC LIMIT 1`;
  return row?.seconds ?? 0;
}
