/**
 * Counts over the whole installation, for the overview and for metrics. Each statement walks at most one row
 * a host, tens of milliseconds at 100,000; nobody asks more often than every few seconds.
 */
import { toCounts, type Counted, type Counts } from './counts.ts';
import type { Sql } from './driver.ts';

/** Rollouts by state; tombstones are history. */
export async function countRollouts(sql: Sql): Promise<Counts> {
  return toCounts(
    await sql<Counted[]>`
      SELECT state AS name, count(*)::int AS n FROM rollout WHERE state <> 'Pruned'
      GROUP BY 1 ORDER BY 1`,
  );
}

export interface HostCounts {
  /** By state, in the newest rollout of the channel that declares them now. */
  readonly states: Counts;
  /** Staged anywhere, and waiting for a reboot. */
  readonly deferrals: number;
}

/**
 * Both in one walk over all records, which is what it costs. A host that is declared nowhere is no host of the fleet; one
 * that moved to another channel is counted there. So does `listHosts` for a state.
 */
export async function countHosts(sql: Sql): Promise<HostCounts> {
  const rows = await sql<(Counted & { readonly all: number })[]>`
    SELECT CASE WHEN r.closed IS NULL THEN r.state ELSE 'closed' END AS name, count(*)::int AS all,
      count(c.channel)::int AS n
    FROM host_rollout r LEFT JOIN declared_host d USING (hostname, channel)
      LEFT JOIN channel c ON c.current_rollout_id = r.rollout_id AND c.channel = d.channel
    GROUP BY 1 ORDER BY 1`;
  return {
    states: toCounts(rows.filter(({ n }) => n > 0)),
    deferrals: rows.find(({ name }) => name === 'Deferred')?.all ?? 0,
  };
}

/** Declared hosts by whether they are heard. */
export async function countReachability(sql: Sql): Promise<Counts> {
  return toCounts(
    await sql<Counted[]>`
      SELECT coalesce(h.reachability, 'never') AS name, count(*)::int AS n
      FROM declared_host d LEFT JOIN host h USING (hostname) GROUP BY 1 ORDER BY 1`,
  );
}

export interface FleetOverviewRow {
  readonly seq: number;
  readonly ref: string | null;
  readonly signedAt: string | null;
  readonly fleetHash: string | null;
  readonly rejectBefore: string | null;
  readonly pause: unknown;
  readonly headSeq: number;
  readonly quarantines: number;
  /** Of these, closures that some host of their channel declares now. */
  readonly declaredQuarantines: number;
}

/** Null before the first leader. */
export async function readFleetOverview(sql: Sql): Promise<FleetOverviewRow | null> {
  const [row] = await sql<FleetOverviewRow[]>`
    SELECT coalesce(f.seq, 0) AS seq, f.ref, f.signed_at AS "signedAt", f.fleet_hash AS "fleetHash",
      f.reject_before AS "rejectBefore", f.pause, p.head_seq AS "headSeq",
      (SELECT count(*)::int FROM quarantine) AS quarantines,
      (SELECT count(DISTINCT (channel, closure))::int
        FROM quarantine JOIN declared_host USING (channel, closure)) AS "declaredQuarantines"
    FROM leader_progress p LEFT JOIN fleet f ON true`;
  return row ?? null;
}

export interface LeaderRow {
  readonly epoch: number;
  readonly holder: string;
  readonly address: string;
  readonly version: string;
  readonly since: string;
  readonly incarnation: string;
  readonly headSeq: number | null;
  readonly lastCommitAt: string | null;
  /** Milliseconds, by the database's clock. */
  readonly lastCommitMsAgo: number | null;
}

/** Null before the first leader. */
export async function readLeader(sql: Sql): Promise<LeaderRow | null> {
  const [row] = await sql<LeaderRow[]>`
    SELECT e.epoch, e.holder, e.address, e.version, e.since, e.incarnation,
      p.head_seq AS "headSeq", p.at AS "lastCommitAt",
      extract(epoch FROM clock_timestamp() - p.at)::float8 * 1000 AS "lastCommitMsAgo"
    FROM epoch e LEFT JOIN leader_progress p ON true`;
  return row ?? null;
}

export interface QueueRow {
  /** Counted up to the given most. */
  readonly rows: number;
  readonly oldestMs: number;
  readonly dead: number;
  /** Of these, of the last 24 hours. */
  readonly deadLastDay: number;
}

export async function readQueue(sql: Sql, most: number): Promise<QueueRow> {
  const [row] = await sql<QueueRow[]>`
    SELECT (SELECT count(*) FROM (SELECT FROM input_queue LIMIT ${most}) AS few)::int AS rows,
      coalesce(greatest(0, (SELECT extract(epoch FROM clock_timestamp() - enqueued_at)::float8 * 1000
        FROM input_queue ORDER BY id LIMIT 1)), 0) AS "oldestMs",
      dead.n AS dead, dead."lastDay" AS "deadLastDay"
    FROM (SELECT count(*)::int AS n,
        count(*) FILTER (WHERE died_at > clock_timestamp() - interval '1 day')::int AS "lastDay"
      FROM dead_input) AS dead`;
  return row ?? { rows: 0, oldestMs: 0, dead: 0, deadLastDay: 0 };
}

export interface DeadInputRow {
  readonly inputId: number;
  readonly kind: string;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  readonly error: string;
  readonly diedAt: string;
}

/** The newest first. */
export async function listDeadInputs(sql: Sql, limit: number): Promise<readonly DeadInputRow[]> {
  return sql<DeadInputRow[]>`
    SELECT input_id AS "inputId", kind, hostname, rollout_id AS "rolloutId",
      split_part(error, chr(10), 1) AS error, died_at AS "diedAt"
    FROM dead_input ORDER BY input_id DESC LIMIT ${limit}`;
}
