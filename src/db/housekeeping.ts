/** The statements of the workers that watch time pass: silent hosts, what is due, what may be swept. */
import type { Pool } from './pool.ts';
import { ago, hasCome } from './database-clock.ts';
import { sweepSecrets } from './tokens.ts';

export interface SilentHost {
  readonly hostname: string;
  /** Null when its presence is lost (the table is unlogged), was never stored, or was dated by a clock that was ahead. */
  readonly lastHeardAt: string | null;
  /** Since when it counts as reachable, by the clock of the leader that said so. */
  readonly reachableAt?: string;
}

/**
 * Reachable hosts not heard for `silentMs`, most silent first, then those without presence, at most `limit`. Only the
 * database's clock counts: it has dated presence. A host that has just become reachable may not be noted there yet; when
 * that was is told by the leader's clock, so an instant far ahead says nothing.
 */
export async function readSilentHosts(
  pool: Pool,
  silentMs: number,
  limit: number,
): Promise<readonly SilentHost[]> {
  return pool.run(
    (sql) => sql<SilentHost[]>`
      SELECT host.hostname, presence.heard_at AS "lastHeardAt",
        host.reachability_at AS "reachableAt"
      FROM (SELECT ${silentMs}::float8 * interval '1 millisecond' AS silent) AS for_long
      CROSS JOIN host LEFT JOIN presence
        ON presence.hostname = host.hostname AND ${hasCome(sql, sql`presence.heard_at`)}
      WHERE host.reachability = 'reachable'
        AND coalesce(presence.heard_at, '-infinity') < now() - silent
        AND host.reachability_at NOT BETWEEN now() - silent AND now() + silent
      ORDER BY presence.heard_at NULLS LAST, host.hostname
      LIMIT ${limit}`,
  );
}

/**
 * Whether any host at all was heard for so long, by the database's clock. Of a fleet that is heard the first rows answer; of
 * one that is not, all of them are read.
 */
export async function isAnyoneHeard(pool: Pool, withinMs: number): Promise<boolean> {
  const [row] = await pool.run(
    (sql) => sql<{ hearing: boolean }[]>`
      SELECT EXISTS (
        SELECT FROM presence
        WHERE heard_at > ${ago(sql, withinMs)} AND ${hasCome(sql, sql`heard_at`)}
      ) AS hearing`,
  );
  return row?.hearing === true;
}

/** When the leader wants the next tick; null when no wave is soaking. */
export async function readNextDue(pool: Pool): Promise<string | null> {
  const [row] = await pool.run(
    (sql) => sql<{ nextDueAt: string | null }[]>`
      SELECT next_due_at AS "nextDueAt" FROM leader_progress`,
  );
  return row?.nextDueAt ?? null;
}

/** Is a tick already waiting? A second one would decide nothing new. */
export async function isTickQueued(pool: Pool): Promise<boolean> {
  const [row] = await pool.run(
    (sql) => sql<{ queued: boolean }[]>`
      SELECT EXISTS (SELECT FROM input_queue WHERE kind = 'Tick') AS queued`,
  );
  return row?.queued === true;
}

export interface Swept {
  readonly verdicts: number;
  readonly offers: number;
  readonly keys: number;
}

/** Removes what is so many milliseconds old that nobody will ask for it again. The database dated it, and tells its age. */
export async function sweep(
  pool: Pool,
  ages: { readonly verdicts: number; readonly keys: number },
): Promise<Swept> {
  return pool.run(async (sql) => {
    const keys = await sql`DELETE FROM operator_key WHERE at < ${ago(sql, ages.keys)}`;
    // The verdict of a command is its answer for as long as its key is kept.
    const verdicts = await sql`
      DELETE FROM verdict WHERE at < ${ago(sql, ages.verdicts)}
        AND input_id NOT IN (SELECT input_id FROM operator_key WHERE input_id IS NOT NULL)`;
    const waited = await sql`
      DELETE FROM commit_verdicts WHERE at < ${ago(sql, ages.verdicts)}`;
    const offers = await sql`
      DELETE FROM dispatch_offer AS offer
      WHERE offer.last_offered_at < ${ago(sql, ages.keys)}
        AND NOT EXISTS (SELECT FROM dispatch
                        WHERE (rollout_id, hostname) = (offer.rollout_id, offer.hostname))`;
    await sweepSecrets(sql, ago(sql, ages.keys));
    return { verdicts: verdicts.count + waited.count, offers: offers.count, keys: keys.count };
  });
}

/** Rollouts that ended, or became Terminal, so many milliseconds ago and are not their channel's newest. */
export async function readExpiredRollouts(
  pool: Pool,
  ageMs: number,
  limit: number,
): Promise<readonly string[]> {
  const rows = await pool.run(
    (sql) => sql<{ rolloutId: string }[]>`
      SELECT rollout_id AS "rolloutId" FROM rollout
      WHERE state IN ('Terminal', 'Superseded', 'Cancelled', 'Failed', 'Reverted')
        AND coalesce(ended_at, terminal_at, failed_at) < ${ago(sql, ageMs)}
        AND NOT EXISTS (SELECT FROM channel WHERE current_rollout_id = rollout_id)
      ORDER BY ordinal LIMIT ${limit}`,
  );
  return rows.map((row) => row.rolloutId);
}

/** Makes log partitions ahead of the head. */
export async function makePartitions(pool: Pool, ahead: number): Promise<number> {
  const [row] = await pool.run(
    (sql) => sql<{ made: number }[]>`
      SELECT event_log_make_partitions(coalesce(max(seq), 0) + ${ahead}::bigint) AS made
      FROM event_log`,
  );
  return row?.made ?? 0;
}
