/**
 * Looking up, under the writer transaction's locks, what the reducer may only know from its input: which
 * dispatches were offered, and when hosts were last heard. An offer needs its dispatch row `FOR SHARE`, so
 * while we hold these rows nobody offers them, and what we read stays true until the commit.
 */
import type { Sql } from '../db/driver.ts';
import { isContended } from '../db/errors.ts';
import { textArray } from '../db/literals.ts';
import { readHeard, readOffers } from '../db/offers.ts';
import type { ObservationNeeds, Observed } from '../reducer/input.ts';

export async function observe(sql: Sql, needs: ObservationNeeds): Promise<Observed> {
  const rollouts = textArray(needs.rollouts);
  const hosts = textArray(needs.hosts);
  // In key order, as everyone who locks several of them does.
  await sql`
    SELECT 1 FROM dispatch
    WHERE rollout_id = ANY(${rollouts}::text[]) OR hostname = ANY(${hosts}::text[])
    ORDER BY rollout_id, hostname FOR UPDATE`;
  return { offers: await readOffers(sql, needs), heard: await heardUnlessLocked(sql, needs.hosts) };
}

/** How long an index of presence is waited for, which somebody may hold while the table is free; a decision takes as long. */
const LOCKED_MS = 20;

/**
 * Of nobody it is known when he was heard while somebody locks presence, for however long that is: no heartbeat can be
 * stored then, and no decision waits for it. Sent at once: what follows a refusal is refused by the server, but for the
 * way back, which also ends the setting.
 */
async function heardUnlessLocked(sql: Sql, hosts: readonly string[]): Promise<Observed['heard']> {
  if (hosts.length === 0) return [];
  const [begun, bounded, locked, heard, back, done] = await Promise.allSettled([
    sql`SAVEPOINT unlocked`.execute(),
    sql.unsafe(`SET LOCAL lock_timeout = ${String(LOCKED_MS)}`).execute(),
    sql`LOCK TABLE presence IN ACCESS SHARE MODE NOWAIT`.execute(),
    readHeard(sql, hosts),
    sql`ROLLBACK TO SAVEPOINT unlocked`.execute(),
    sql`RELEASE SAVEPOINT unlocked`.execute(),
  ]);
  for (const step of [begun, bounded, back, done])
    if (step.status === 'rejected') throw step.reason;
  if (locked.status === 'fulfilled' && heard.status === 'fulfilled') return heard.value;
  const refusal: unknown = locked.status === 'rejected' ? locked.reason : rejection(heard);
  if (!isContended(refusal)) throw refusal;
  return [];
}

function rejection(settled: PromiseSettledResult<unknown>): unknown {
  return settled.status === 'rejected' ? settled.reason : null;
}
