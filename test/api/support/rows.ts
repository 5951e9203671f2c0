/** Rows as the leader commits them, for tests of what replicas make of them. */
import type { Pool } from '../../../src/db/pool.ts';

export const ROLLOUT = 'stable@a1';
export const NEWER = 'stable@b2';
const AT = '2026-05-16T01:00:00.000Z';
/** When each dispatch was. */
export const ENQUEUED = AT;

/** A rollout, the newest of its channel if it is the last one put. */
export async function putRollout(pool: Pool, rolloutId: string, ordinal: number): Promise<void> {
  const [channel = '', ref = ''] = rolloutId.split('@');
  await pool.run(async (sql) => {
    await sql`
      INSERT INTO rollout (rollout_id, seq, channel, channel_ref, display_name, manifest_hash,
        signed_at, state, current_wave, ordinal, opened_at, plan, blockers)
      VALUES (${rolloutId}, 1, ${channel}, ${ref}, 'test', 'hash', ${AT}, 'Active', 0, ${ordinal},
        ${AT}, '{}', '[]')`;
    await sql`
      INSERT INTO channel (channel, seq, freshness_window, current_rollout_id)
      VALUES (${channel}, 1, 60, ${rolloutId})
      ON CONFLICT (channel) DO UPDATE SET current_rollout_id = excluded.current_rollout_id`;
  });
}

export interface RecordFields {
  readonly state?: string;
  readonly synthesisedAt?: string | null;
  readonly lastEventSeq?: number;
  readonly highestRefusedSeq?: number;
}

export async function putRecord(
  pool: Pool,
  hostname: string,
  rolloutId: string,
  fields: RecordFields = {},
): Promise<void> {
  const { state = 'Activating', synthesisedAt = null } = fields;
  const { lastEventSeq = 2, highestRefusedSeq = 0 } = fields;
  await pool.run(
    (sql) => sql`
      INSERT INTO host_rollout (rollout_id, hostname, seq, channel, wave, state, target_closure,
        current_closure_at_dispatch, dispatched_at, probes, last_event_seq, synthesised,
        highest_refused_seq, last_accepted_at, unchanged, cleared, was_offered, target_sightings,
        synthesised_at, stuck, rollback_failed)
      VALUES (${rolloutId}, ${hostname}, 1, 'stable', 0, ${state}, 'new', 'old', ${AT}, '{}',
        ${lastEventSeq}, ${synthesisedAt === null ? null : 'rebooted'}, ${highestRefusedSeq}, ${AT},
        false, false, true, 0, ${synthesisedAt}, false, false)`,
  );
}

export async function putHost(
  pool: Pool,
  hostname: string,
  reachability = 'reachable',
): Promise<void> {
  await pool.run(
    (sql) => sql`
      INSERT INTO host (hostname, seq, reported_closure, reachability, reachability_at)
      VALUES (${hostname}, 1, 'old', ${reachability}, ${AT})
      ON CONFLICT (hostname) DO UPDATE SET reachability = excluded.reachability`,
  );
}

export interface DispatchFields {
  readonly ordinal?: number;
  readonly suspended?: boolean;
  readonly seq?: number;
}

export async function putDispatch(
  pool: Pool,
  hostname: string,
  rolloutId: string,
  { ordinal = 1, suspended = false, seq = 1 }: DispatchFields = {},
): Promise<void> {
  await pool.run(
    (sql) => sql`
      INSERT INTO dispatch (rollout_id, hostname, seq, channel, target_closure, soak_due_at,
        enqueued_at, suspended, ordinal)
      VALUES (${rolloutId}, ${hostname}, ${seq}, 'stable', 'new', ${AT}, ${AT}, ${suspended},
        ${ordinal})`,
  );
}

/** As if the offers of a host had been made earlier. */
export async function ageOffers(pool: Pool, hostname: string, seconds: number): Promise<void> {
  await pool.run(
    (sql) => sql`
      UPDATE dispatch_offer SET last_offered_at = last_offered_at - make_interval(secs => ${seconds}),
        first_offered_at = first_offered_at - make_interval(secs => ${seconds})
      WHERE hostname = ${hostname}`,
  );
}

/** As if the last heartbeat of a host had come earlier. */
export async function agePresence(pool: Pool, hostname: string, seconds: number): Promise<void> {
  await pool.run(
    (sql) => sql`
      UPDATE presence SET heard_at = heard_at - make_interval(secs => ${seconds}),
        last_non2xx_at = last_non2xx_at - make_interval(secs => ${seconds})
      WHERE hostname = ${hostname}`,
  );
}
