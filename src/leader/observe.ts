/**
 * Looking up, under the writer transaction's locks, what the reducer may only know from its input: which
 * dispatches were offered, and when hosts were last heard. An offer needs its dispatch row `FOR SHARE`, so
 * while we hold these rows nobody offers them, and what we read stays true until the commit.
 */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import type { ObservationNeeds, Observed } from '../reducer/input.ts';

type Offer = Observed['offers'][number];
type Heard = Observed['heard'][number];

export async function observe(sql: Sql, needs: ObservationNeeds): Promise<Observed> {
  const rollouts = textArray(needs.rollouts);
  const hosts = textArray(needs.hosts);
  // In key order, as everyone who locks several of them does.
  await sql`
    SELECT 1 FROM dispatch
    WHERE rollout_id = ANY(${rollouts}::text[]) OR hostname = ANY(${hosts}::text[])
    ORDER BY rollout_id, hostname FOR UPDATE`;
  const offers = await sql<Offer[]>`
    SELECT o.rollout_id AS "rolloutId", o.hostname, o.first_offered_at AS "firstOfferedAt",
      o.last_offered_at AS "lastOfferedAt"
    FROM dispatch_offer o JOIN dispatch d USING (rollout_id, hostname)
    WHERE o.rollout_id = ANY(${rollouts}::text[]) OR o.hostname = ANY(${hosts}::text[])
    ORDER BY o.rollout_id, o.hostname`;
  const heard = await sql<Heard[]>`
    SELECT hostname, heard_at AS at FROM presence WHERE hostname = ANY(${hosts}::text[])
    ORDER BY hostname`;
  return { offers: [...offers], heard: [...heard] };
}
