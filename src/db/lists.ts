/** Smaller lists of the operator's: channels, quarantines, hosts that wait for a reboot. Walked by key. */
import type { Sql } from './driver.ts';
import { isUnderWay } from './states.ts';

export interface ChannelListRow {
  readonly channel: string;
  readonly seq: number;
  readonly declaredRef: string | null;
  readonly signedAt: string | null;
  readonly freshnessWindow: number;
  readonly currentRolloutId: string | null;
  readonly rolloutState: string | null;
  readonly waitingRef: string | null;
  readonly pause: unknown;
  readonly note: string | null;
  readonly hosts: number;
}

/**
 * By name, above a name; `only` is one of them. A window of 0 is that of a channel which the set in force does not have:
 * of those that it has each is longer.
 */
export async function listChannels(
  sql: Sql,
  { above, only, limit }: { above: string; only: string | null; limit: number },
): Promise<readonly ChannelListRow[]> {
  return sql<ChannelListRow[]>`
    SELECT c.channel, c.seq, c.declared_ref AS "declaredRef", c.signed_at AS "signedAt",
      c.freshness_window AS "freshnessWindow", c.current_rollout_id AS "currentRolloutId",
      r.state AS "rolloutState", c.waiting_ref AS "waitingRef", c.pause,
      coalesce(c.note, CASE WHEN c.declared_ref IS NOT NULL THEN NULL
        WHEN c.freshness_window = 0 AND r.state IN ('Opening', 'Active', 'Converging', 'Failed', 'Reverted')
          THEN 'not-declared'
        WHEN c.freshness_window > 0 AND ${isUnderWay(sql, 'r')}
          THEN 'no-release' END) AS note,
      (SELECT count(*)::int FROM declared_host d WHERE d.channel = c.channel) AS hosts
    FROM channel c LEFT JOIN rollout r ON r.rollout_id = c.current_rollout_id
    WHERE c.channel > ${above} AND (${only}::text IS NULL OR c.channel = ${only})
    ORDER BY c.channel LIMIT ${limit}`;
}

export interface QuarantineListRow {
  readonly channel: string;
  readonly closure: string;
  readonly seq: number;
  readonly rolloutId: string;
  readonly hostname: string;
  readonly at: string;
}

/** By channel and closure, above a pair. */
export async function listQuarantines(
  sql: Sql,
  above: readonly [channel: string, closure: string],
  { channel, limit }: { channel: string | null; limit: number },
): Promise<readonly QuarantineListRow[]> {
  return sql<QuarantineListRow[]>`
    SELECT channel, closure, seq, rollout_id AS "rolloutId", hostname, at FROM quarantine
    WHERE (channel, closure) > (${above[0]}, ${above[1]})
      AND (${channel}::text IS NULL OR channel = ${channel})
    ORDER BY channel, closure LIMIT ${limit}`;
}

export interface DeferralRow {
  readonly hostname: string;
  readonly rolloutId: string;
  readonly channel: string;
  readonly targetClosure: string;
  readonly component: string | null;
  readonly deferredAt: string | null;
}

/** Hosts that staged their release and wait for a reboot, with what their agent said of it. */
export async function listDeferrals(
  sql: Sql,
  above: readonly [hostname: string, rolloutId: string],
  { channel, limit }: { channel: string | null; limit: number },
): Promise<readonly DeferralRow[]> {
  return sql<DeferralRow[]>`
    SELECT r.hostname, r.rollout_id AS "rolloutId", r.channel, r.target_closure AS "targetClosure",
      said.component, said.at AS "deferredAt"
    FROM (
      SELECT hostname, rollout_id, channel, target_closure FROM host_rollout
      WHERE state = 'Deferred' AND closed IS NULL
        AND (hostname, rollout_id) > (${above[0]}, ${above[1]})
        AND (${channel}::text IS NULL OR channel = ${channel})
      ORDER BY hostname, rollout_id LIMIT ${limit}
    ) r LEFT JOIN LATERAL (
      SELECT payload->'event'->>'component' AS component, payload->'event'->>'deferredAt' AS at
      FROM event_log l
      WHERE l.hostname = r.hostname AND l.rollout_id = r.rollout_id AND l.kind = 'agent_event'
        AND l.payload->'event'->>'kind' = 'ActivationDeferred'
      ORDER BY seq DESC LIMIT 1
    ) said ON true
    ORDER BY r.hostname, r.rollout_id`;
}
