/**
 * Handing dispatches to agents. An offer is recorded before it is answered, in one statement that succeeds
 * only while the dispatch row is in force; the row lock keeps the leader from taking it back meanwhile.
 * Rows that the leader has locked right now are skipped, not waited for: many hosts share the statement,
 * and waiting for one of them while holding others could deadlock with the leader.
 */
import { hasCome } from './database-clock.ts';
import { textArray } from './literals.ts';
import type { Sql } from './driver.ts';

/** Nobody offers a row again within this: an agent's answer is in the queue by then, or it never got it. */
const REOFFER = '30 seconds';
/** The agent may still be about to take the older rollout's dispatch. */
const AFTER_OLDER = '60 seconds';

/** The newest dispatch of a host, offered now or not. */
export interface OfferRow {
  hostname: string;
  rollout_id: string;
  target_closure: string;
  soak_due_at: string;
  enqueued_at: string;
  /** True when this call recorded the offer. */
  offered: boolean;
  /** Milliseconds until it may be offered; 0 when it could be, but the leader held it just now. */
  due_ms: number;
}

/** Offers what is in force for these hosts. Hosts without anything to offer, ever, are not in the answer. */
export async function offerDispatches(
  sql: Sql,
  replica: string,
  hosts: readonly string[],
): Promise<OfferRow[]> {
  return sql<OfferRow[]>`
    WITH newest AS MATERIALIZED (
      SELECT d.* FROM dispatch d
      WHERE d.hostname = ANY (${textArray(hosts)}::text[]) AND NOT d.suspended
        AND NOT EXISTS (SELECT FROM dispatch n WHERE n.hostname = d.hostname AND n.ordinal > d.ordinal)
    ), waits AS MATERIALIZED (
      SELECT n.rollout_id, n.hostname, max(CASE
          WHEN f.rollout_id = n.rollout_id THEN f.last_offered_at + ${REOFFER}::interval
          ELSE f.last_offered_at + ${AFTER_OLDER}::interval END) AS due_at
      FROM newest n JOIN dispatch_offer f ON f.hostname = n.hostname
        AND ${hasCome(sql, sql`f.last_offered_at`)}
      GROUP BY 1, 2
    ), held AS (
      SELECT d.rollout_id, d.hostname FROM dispatch d
      JOIN newest n ON n.rollout_id = d.rollout_id AND n.hostname = d.hostname
      LEFT JOIN waits w ON w.rollout_id = d.rollout_id AND w.hostname = d.hostname
      WHERE NOT d.suspended AND coalesce(w.due_at <= clock_timestamp(), true)
      ORDER BY d.hostname
      FOR SHARE OF d SKIP LOCKED
    ), offered AS (
      INSERT INTO dispatch_offer AS f (rollout_id, hostname, first_offered_at, last_offered_at, replica)
      SELECT rollout_id, hostname, clock_timestamp(), clock_timestamp(), ${replica}
      FROM held ORDER BY hostname
      ON CONFLICT (rollout_id, hostname) DO UPDATE
        SET last_offered_at = excluded.last_offered_at, replica = excluded.replica,
          first_offered_at = least(f.first_offered_at, excluded.first_offered_at)
        WHERE f.last_offered_at <= clock_timestamp() - ${REOFFER}::interval
          OR NOT ${hasCome(sql, sql`f.last_offered_at`)}
      RETURNING f.rollout_id, f.hostname
    )
    SELECT n.hostname, n.rollout_id, n.target_closure, n.soak_due_at, n.enqueued_at,
      o.hostname IS NOT NULL AS offered,
      greatest(0, coalesce(extract(epoch FROM w.due_at - clock_timestamp()), 0))::float8 * 1000 AS due_ms
    FROM newest n
    LEFT JOIN waits w ON w.rollout_id = n.rollout_id AND w.hostname = n.hostname
    LEFT JOIN offered o ON o.rollout_id = n.rollout_id AND o.hostname = n.hostname`;
}

/** What was offered of the dispatches in force of these rollouts and hosts, and when these hosts were heard. */
export interface ObservedRows {
  readonly offers: readonly {
    readonly rolloutId: string;
    readonly hostname: string;
    readonly firstOfferedAt: string;
    readonly lastOfferedAt: string;
  }[];
  readonly heard: readonly { readonly hostname: string; readonly at: string }[];
}

/** An instant that has not come says no more than what must have been before it. */
function offeredAt(sql: Sql, at: ReturnType<Sql>) {
  return sql`CASE WHEN ${hasCome(sql, at)} THEN ${at} ELSE d.enqueued_at END`;
}

export async function readOffers(
  sql: Sql,
  of: { readonly rollouts: readonly string[]; readonly hosts: readonly string[] },
): Promise<ObservedRows['offers']> {
  const rollouts = textArray(of.rollouts);
  const hosts = textArray(of.hosts);
  const offers = await sql<ObservedRows['offers'][number][]>`
    SELECT o.rollout_id AS "rolloutId", o.hostname,
      ${offeredAt(sql, sql`o.first_offered_at`)} AS "firstOfferedAt",
      ${offeredAt(sql, sql`o.last_offered_at`)} AS "lastOfferedAt"
    FROM dispatch_offer o JOIN dispatch d USING (rollout_id, hostname)
    WHERE o.rollout_id = ANY(${rollouts}::text[]) OR o.hostname = ANY(${hosts}::text[])
    ORDER BY o.rollout_id, o.hostname`;
  return [...offers];
}

/** When hosts were heard; an instant that has not come says nothing. Sent before this returns. */
export async function readHeard(
  sql: Sql,
  hosts: readonly string[],
): Promise<ObservedRows['heard']> {
  if (hosts.length === 0) return [];
  const rows = await sql<ObservedRows['heard'][number][]>`
    SELECT hostname, heard_at AS at FROM presence
    WHERE hostname = ANY(${textArray(hosts)}::text[]) AND ${hasCome(sql, sql`heard_at`)}
    ORDER BY hostname`.execute();
  return [...rows];
}

/** When a host's agent last fetched each dispatch of it that is in force. */
export async function readOffersOf(
  sql: Sql,
  hostname: string,
): Promise<readonly { readonly rolloutId: string; readonly at: string }[]> {
  return sql<{ rolloutId: string; at: string }[]>`
    SELECT rollout_id AS "rolloutId", o.last_offered_at AS at
    FROM dispatch_offer o JOIN dispatch d USING (rollout_id, hostname)
    WHERE o.hostname = ${hostname}`;
}

/**
 * Hosts whose dispatches changed after `seq`, and the newest seq there is. The leader is the only writer
 * and commits in seq order, so nothing can appear below a seq that was once seen.
 */
export async function dispatchesSince(
  sql: Sql,
  seq: number,
): Promise<{ readonly head: number; readonly hosts: readonly string[] }> {
  const rows = await sql<{ hostname: string; seq: number }[]>`
    SELECT hostname, seq FROM dispatch WHERE seq > ${seq} AND NOT suspended`;
  return {
    head: rows.reduce((head, row) => Math.max(head, row.seq), seq),
    hosts: rows.map((row) => row.hostname),
  };
}
