/**
 * Looking up, under the writer transaction's locks, what the reducer may only know from its input: which
 * dispatches were offered, and when hosts were last heard. An offer needs its dispatch row `FOR SHARE`, so
 * while we hold these rows nobody offers them, and what we read stays true until the commit.
 */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import { readObserved } from '../db/offers.ts';
import type { ObservationNeeds, Observed } from '../reducer/input.ts';

export async function observe(sql: Sql, needs: ObservationNeeds): Promise<Observed> {
  const rollouts = textArray(needs.rollouts);
  const hosts = textArray(needs.hosts);
  // In key order, as everyone who locks several of them does.
  await sql`
    SELECT 1 FROM dispatch
    WHERE rollout_id = ANY(${rollouts}::text[]) OR hostname = ANY(${hosts}::text[])
    ORDER BY rollout_id, hostname FOR UPDATE`;
  return readObserved(sql, needs);
}
