/**
 * Heartbeats at the database: what is committed about the hosts that speak, read in one statement (one
 * snapshot) for all callers gathered, and presence, written for all of them in another. Presence is
 * unlogged working memory: losing it harms nobody.
 */
import { hasCome } from './database-clock.ts';
import { plainArray, textArray } from './literals.ts';
import type { Sql } from './driver.ts';

/** One record of a host, with what is known of the host itself repeated on each row. */
export interface HeardRow {
  hostname: string;
  /** Milliseconds since the previous heartbeat; null when none is remembered, or none whose time has come. */
  heard_ms_ago: number | null;
  missed_lately: boolean | null;
  replay_said: string | null;
  queued: boolean;
  reachability: 'never' | 'reachable' | 'unreachable' | null;
  reported_closure: string | null;
  /** Null when the host has no record of interest; then so is all that follows. */
  rollout_id: string | null;
  channel: string;
  state: string;
  target_closure: string;
  current_closure_at_dispatch: string | null;
  current_closure: string | null;
  dispatched_at: string | null;
  dispatch_acked_at: string | null;
  activation_started_at: string | null;
  activation_completed_at: string | null;
  soak_due_at: string | null;
  last_event_seq: number;
  highest_refused_seq: number;
  last_accepted_at: string | null;
  synthesised: string | null;
  synthesised_at: string | null;
  contradicted_by: string | null;
  rollout_state: string;
  newest: boolean;
}

/** How long a failed post forbids snapshots: an agent repeats itself every 15 s, so 5 min is 20 chances. */
export const MISSED_LATELY = '5 minutes';

/**
 * `stated` are the rollouts that the heartbeats name: beside records under way only those can matter. One
 * snapshot matters: the leader removes an input in the commit that applies it, so a host without a queued
 * input here has rows that include all its events so far.
 */
export async function readHeard(
  sql: Sql,
  hosts: readonly string[],
  stated: readonly string[],
): Promise<HeardRow[]> {
  return sql<HeardRow[]>`
    SELECT w.hostname,
      CASE WHEN ${hasCome(sql, sql`p.heard_at`)}
        THEN extract(epoch FROM clock_timestamp() - p.heard_at)::float8 * 1000 END AS heard_ms_ago,
      p.last_non2xx_at > clock_timestamp() - ${MISSED_LATELY}::interval AS missed_lately,
      p.replay_said,
      EXISTS (SELECT FROM input_queue q WHERE q.hostname = w.hostname) AS queued,
      h.reachability, h.reported_closure,
      r.rollout_id, r.channel, r.state, r.target_closure, r.current_closure_at_dispatch,
      r.current_closure, r.dispatched_at, r.dispatch_acked_at, r.activation_started_at,
      r.activation_completed_at, r.soak_due_at, r.last_event_seq, r.highest_refused_seq,
      r.last_accepted_at, r.synthesised, r.synthesised_at, r.contradicted_by, r.rollout_state,
      r.newest
    FROM unnest(${textArray(hosts)}::text[]) AS w (hostname)
    LEFT JOIN presence p ON p.hostname = w.hostname
    LEFT JOIN host h ON h.hostname = w.hostname
    LEFT JOIN LATERAL (
      SELECT hr.*, o.state AS rollout_state,
        coalesce(c.current_rollout_id = hr.rollout_id, false) AS newest
      FROM host_rollout hr
      JOIN rollout o ON o.rollout_id = hr.rollout_id
      LEFT JOIN channel c ON c.channel = hr.channel
      WHERE hr.hostname = w.hostname AND hr.closed IS NULL AND o.state <> 'Pruned'
        AND (hr.state IN ('Pending', 'Activating', 'Deferred', 'Soaking')
          OR hr.rollout_id = ANY (${textArray(stated)}::text[]))
    ) r ON true`;
}

/** One host's heartbeat as it is kept. */
export interface PresenceRow {
  readonly hostname: string;
  readonly closure: string | null;
  readonly agentVersion: string | null;
  readonly uptimeSecs: number | null;
  /** JSON. */
  readonly lastEventSeqByRollout: string;
  /** Gaps said so far; null leaves them as they are. */
  readonly replaySaid: string | null;
}

/** Each host at most once; in a fixed order, so that two replicas never wait for each other's rows. */
function inOrder<T extends { readonly hostname: string }>(rows: readonly T[]): readonly T[] {
  const last = new Map(rows.map((row) => [row.hostname, row]));
  return [...last.values()].sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
}

/** A miss at a time that has not come is one of now: it forbids as much as any other, and for no longer. */
export async function writePresence(
  sql: Sql,
  replica: string,
  heartbeats: readonly PresenceRow[],
): Promise<void> {
  const rows = inOrder(heartbeats);
  await sql`
    INSERT INTO presence AS p (hostname, heard_at, closure, agent_version, uptime_secs,
      last_event_seq_by_rollout, replay_said, replica)
    SELECT hostname, clock_timestamp(), closure, agent_version, uptime_secs, seqs::json, said,
      ${replica}
    FROM unnest(${textArray(rows.map((row) => row.hostname))}::text[],
      ${textArray(rows.map((row) => row.closure))}::text[],
      ${textArray(rows.map((row) => row.agentVersion))}::text[],
      ${plainArray(rows.map((row) => row.uptimeSecs))}::float8[],
      ${textArray(rows.map((row) => row.lastEventSeqByRollout))}::text[],
      ${textArray(rows.map((row) => row.replaySaid))}::text[])
      AS w (hostname, closure, agent_version, uptime_secs, seqs, said)
    ON CONFLICT (hostname) DO UPDATE SET
      heard_at = excluded.heard_at, prev_heard_at = p.heard_at, closure = excluded.closure,
      agent_version = excluded.agent_version, uptime_secs = excluded.uptime_secs,
      last_event_seq_by_rollout = excluded.last_event_seq_by_rollout,
      last_non2xx_at = CASE WHEN p.last_non2xx_at > excluded.heard_at THEN excluded.heard_at
        ELSE p.last_non2xx_at END,
      replay_said = coalesce(excluded.replay_said, p.replay_said), replica = excluded.replica`;
}

/** Resolves where a heartbeat could be stored: without a row the statement needs the same lock and the same rights. */
export async function tryPresence(sql: Sql): Promise<void> {
  await writePresence(sql, '', []);
}

/** Remembers that an event of these hosts was answered with other than 2xx. */
export async function writeMisses(
  sql: Sql,
  replica: string,
  hosts: readonly string[],
): Promise<void> {
  const names = [...new Set(hosts)].sort();
  await sql`
    INSERT INTO presence AS p (hostname, heard_at, last_non2xx_at, replica)
    SELECT hostname, clock_timestamp(), clock_timestamp(), ${replica}
    FROM unnest(${textArray(names)}::text[]) AS w (hostname)
    ON CONFLICT (hostname) DO UPDATE SET last_non2xx_at = excluded.last_non2xx_at`;
}
