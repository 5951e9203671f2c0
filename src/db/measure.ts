/** What one process measures for all: how rollouts get on, how fresh their manifests are, what holds back vacuum. */
import type { Sql } from './driver.ts';

/**
 * Seconds since anything moved in a rollout that is under way, is not paused and has nobody switching or
 * soaking who is heard, beyond the soak of its wave; the longest of them. 0: all get on.
 */
export async function readLongestIdle(sql: Sql): Promise<number> {
  const [row] = await sql<{ secs: number | null }[]>`
    SELECT max(extract(epoch FROM clock_timestamp() - coalesce(moved.ts, r.opened_at))
      - coalesce((r.plan->'soakMinutes'->>r.current_wave)::float8, 0) * 60)::float8 AS secs
    FROM rollout r JOIN channel c ON c.channel = r.channel
    LEFT JOIN LATERAL (
      SELECT ts FROM event_log l WHERE l.rollout_id = r.rollout_id
        AND l.kind IN ('agent_event', 'transition', 'rollout_event', 'plan_action')
      ORDER BY seq >> 12 DESC, seq DESC LIMIT 1 -- as its index stands (migration 0010)
    ) moved ON true
    WHERE r.state IN ('Opening', 'Active', 'Converging') AND c.pause IS NULL
      AND NOT EXISTS (SELECT FROM fleet WHERE pause IS NOT NULL)
      AND NOT EXISTS (SELECT FROM host_rollout h JOIN host USING (hostname)
        WHERE h.rollout_id = r.rollout_id AND h.closed IS NULL
          AND h.state IN ('Activating', 'Soaking') AND host.reachability <> 'unreachable')`;
  return Math.max(0, row?.secs ?? 0);
}

export interface Freshness {
  /** When the first channel's manifest is too old to be dispatched by. */
  readonly staleAt: string;
  /** Until then; negative: it is already. */
  readonly seconds: number;
}

/** Null while no channel declares anything. `agentMinutes` is what agents accept at the most. */
export async function readFreshness(sql: Sql, agentMinutes: number): Promise<Freshness | null> {
  const [row] = await sql<Freshness[]>`
    SELECT at AS "staleAt", extract(epoch FROM at - clock_timestamp())::float8 AS seconds
    FROM (
      SELECT min(least(c.signed_at, f.signed_at)
        + make_interval(secs => (least(c.freshness_window, ${agentMinutes}::float8) + 1) * 60)) AS at
      FROM channel c, fleet f WHERE c.declared_ref IS NOT NULL AND c.signed_at IS NOT NULL
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
      greatest(
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start))::float8
          FROM pg_stat_activity WHERE datname = current_database()
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()), 0),
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - prepared))::float8
          FROM pg_prepared_xacts WHERE database = current_database()), 0)) AS seconds`;
  return row ?? { transactions: 0, seconds: 0 };
}
