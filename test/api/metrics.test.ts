/** What Prometheus is told: the fleet's numbers by the one process that works, and nothing stale by the others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { readFreshness, readHorizon, readLongestIdle } from '../../src/db/measure.ts';
import { createMetrics, MEASURED } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica } from './support/fakes.ts';
import { startHttpServer, until, untilOpened, type HttpServer } from '../support/http-server.ts';

let url: string;
let pool: Pool;
let working: HttpServer;
let other: HttpServer;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  const options = { role: 't', max: 1, statementMs: 5_000 };
  pool = createPool({ url, schema: 'muster', name: 'test' }, options);
  // Measuring begins with a whole fleet: the next look is 15 s away.
  const before = await startHttpServer(url);
  await untilOpened(before);
  await before.stop();
  working = await startHttpServer(url);
  other = await startHttpServer(url, { MUSTER_ROLES: 'api' });
});
afterAll(async () => {
  await Promise.all([working.stop(), other.stop()]);
  await pool.end();
});

const scrape = async (of: HttpServer): Promise<string> => (await of.call('GET', '/metrics')).text();

/** Samples by series, such as `muster_rollouts{state="Opening"}`. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line.startsWith('muster_'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('the numbers of the fleet', () => {
  it('come from the process that works, and from no other', async () => {
    const text = await until(
      () => scrape(working),
      // The last number that is measured.
      (seen) =>
        seen.includes('\nmuster_database_notifications_held_ratio ') &&
        seen.includes('\nmuster_leader_leading 1\n'),
    );
    const seen = samples(text);
    expect(seen.get('muster_leader_leading')).toBe(1);
    expect(seen.get('muster_rollout_idle_seconds')).toBeGreaterThanOrEqual(0);
    expect(seen.get('muster_pauses{scope="fleet"}')).toBe(0);
    // There before the first: what begins at 1 never increased, and alerts nobody.
    expect(seen.get('muster_leader_inputs_total{kind="AgentEvent",verdict="dead"}')).toBe(0);
    expect(seen.get('muster_leader_inputs_total{kind="unknown",verdict="dead"}')).toBe(0);
    expect(seen.get('muster_leader_terms_ended_total{why="fenced"}')).toBe(0);
    // A tick may just be waiting when it is counted.
    expect(seen.get('muster_queue_rows')).toBeLessThanOrEqual(2);
    expect(seen.get('muster_database_lock_strangers')).toBe(0);
    expect(seen.get('muster_log_ahead_seconds')).toBe(0);
    expect(seen.get('muster_leader_doubtful_commits_total{fate="unknown"}')).toBe(0);
    expect(seen.get('muster_database_oldest_transaction_seconds')).toBeGreaterThanOrEqual(0);
    expect(seen.get('muster_database_notifications_held_ratio')).toBeLessThan(0.5);
    const others = samples(await scrape(other));
    expect(others.get('muster_leader_leading')).toBe(0);
    for (const name of MEASURED) {
      expect([...others.keys()].filter((series) => series.startsWith(name))).toEqual([]);
    }
  });

  it('are told although the database makes everyone wait', async () => {
    const readiness = () => new Promise<never>(() => undefined);
    const waiting = await startReplica(url, {}, {}, { readiness });
    const since = performance.now();
    const { body } = await waiting.api.app.inject({ url: '/metrics' });
    expect(body).toContain('# TYPE muster_http_requests_total');
    expect(performance.now() - since).toBeLessThan(4_000);
    await waiting.stop();
  });

  it('go when nobody measures them any more', async () => {
    const metrics = createMetrics();
    metrics.set('muster_rollouts', { state: 'Active' }, 3);
    metrics.set('muster_rollout_idle_seconds', {}, 7);
    expect(samples(await metrics.expose()).get('muster_rollout_idle_seconds')).toBe(7);
    for (const name of MEASURED) metrics.clear(name);
    const left = [...samples(await metrics.expose()).keys()];
    expect(left.filter((series) => series.startsWith('muster_rollout'))).toEqual([]);
  });
});

const idleSeconds = async (): Promise<number> => (await pool.run(readLongestIdle))?.seconds ?? 0;

describe('what is measured', () => {
  const withRollout = async (soak: number, openedAgo: string): Promise<void> => {
    await pool.run(async (sql) => {
      await sql`DELETE FROM rollout WHERE rollout_id = 'edge@1dle'`;
      await sql`
        INSERT INTO rollout (rollout_id, seq, channel, channel_ref, display_name, manifest_hash,
          signed_at, state, current_wave, ordinal, opened_at, plan, blockers)
        VALUES ('edge@1dle', 1, 'edge', '1dle', 'x', 'h', now(), 'Active', 0, 99,
          now() - ${openedAgo}::interval, ${JSON.stringify({ soakMinutes: [soak] })}::text::json, '[]')`;
    });
  };

  it('is idle what does not move beyond its soak, unless it is paused', async () => {
    await until(
      () => pool.run((sql) => sql`SELECT FROM channel WHERE channel = 'edge'`),
      (rows) => rows.length === 1,
    );
    await withRollout(0, '2 hours');
    const idle = await pool.run(readLongestIdle);
    expect(idle?.rolloutId).toBe('edge@1dle');
    expect(idle?.seconds).toBeGreaterThan(7_100);
    await withRollout(180, '2 hours');
    expect(await idleSeconds()).toBeLessThan(60);
    await withRollout(0, '2 hours');
    const pause = JSON.stringify({ actor: 'a', reason: 'b', at: new Date().toISOString() });
    await pool.run(
      (sql) => sql`UPDATE channel SET pause = ${pause}::text::json WHERE channel = 'edge'`,
    );
    expect(await idleSeconds()).toBeLessThan(60);
    await pool.run((sql) => sql`DELETE FROM rollout WHERE rollout_id = 'edge@1dle'`);
  });

  /** `edge@1dle` is two hours old; its one host is heard, and was in this state for as long. */
  const withHost = async (state: string, gates: string, since: string): Promise<void> => {
    await withRollout(0, '2 hours');
    await pool.run(async (sql) => {
      await sql`UPDATE channel SET pause = NULL`;
      await sql`DELETE FROM host_rollout WHERE rollout_id = 'edge@1dle'`;
      await sql`DELETE FROM host_blocker WHERE rollout_id = 'edge@1dle'`;
      await sql`INSERT INTO host (hostname, seq, reachability) VALUES ('idler-01', 1, 'reachable') ON CONFLICT DO NOTHING`;
      await sql`INSERT INTO host_rollout (rollout_id, hostname, seq, channel, wave, state, target_closure, probes,
          last_event_seq, highest_refused_seq, unchanged, cleared, was_offered, target_sightings, stuck,
          rollback_failed, completed_applied_at, last_accepted_at)
        VALUES ('edge@1dle', 'idler-01', 1, 'edge', 0, ${state}, 'x', '{}', 0, 0, false, false, false, 0, false, false,
          CASE WHEN ${state}::text = 'Soaking' THEN now() - interval '2 hours' END,
          CASE WHEN ${state}::text = 'Soaking' THEN now() END)`;
      if (gates !== '[]')
        await sql`INSERT INTO host_blocker (rollout_id, hostname, seq, gates, since)
          VALUES ('edge@1dle', 'idler-01', 1, ${gates}::text::json, now() - ${since}::interval)`;
    });
  };

  it('is idle whose last hosts do not get out of their soak, whatever their agents say', async () => {
    await withHost('Soaking', '[]', '0 s');
    expect(await idleSeconds()).toBeLessThan(60);
    await withHost('Soaking', '["soak-overdue"]', '110 minutes');
    const idle = await idleSeconds();
    expect(idle).toBeGreaterThan(109 * 60);
    expect(idle).toBeLessThan(111 * 60);
  });

  it('is not idle what waits for another channel alone, which is measured itself', async () => {
    const gates = '["channel-edges:stable","wave-promotion:1"]';
    const gating = (state: string) =>
      pool.run(
        (sql) => sql`UPDATE rollout SET state = ${state}, opened_at = now() FROM channel c
          WHERE c.channel = 'stable' AND rollout.rollout_id = c.current_rollout_id`,
      );
    await gating('Active');
    await withHost('Pending', gates, '2 hours');
    expect(await idleSeconds()).toBeLessThan(60);
    await gating('Failed');
    expect(await idleSeconds()).toBeGreaterThan(7_100);
    // Once it opened, what it waited for is no reason any more.
    await withHost('Pending', '["host-hold"]', '5 s');
    expect(await idleSeconds()).toBeLessThan(60);
    await withHost('Activating', gates, '2 hours');
    await pool.run((sql) => sql`UPDATE host SET reachability = 'unreachable'`);
    await gating('Active');
    expect(await idleSeconds()).toBeGreaterThan(7_100);
    await pool.run(async (sql) => {
      await sql`DELETE FROM host_rollout WHERE rollout_id = 'edge@1dle'`;
      await sql`DELETE FROM host_blocker WHERE rollout_id = 'edge@1dle'`;
      await sql`DELETE FROM rollout WHERE rollout_id = 'edge@1dle'`;
    });
  });

  it('is fresh what agents and channels still accept', async () => {
    const signed = async (ago: string, minutes: number): Promise<number> => {
      await pool.run(async (sql) => {
        await sql`UPDATE fleet SET signed_at = now()`;
        await sql`UPDATE rollout SET signed_at = now()`;
        await sql`UPDATE channel SET signed_at = now() - ${ago}::interval, freshness_window = 120`;
      });
      return (await pool.run((sql) => readFreshness(sql, minutes)))?.seconds ?? NaN;
    };
    expect(Math.round(await signed('10 minutes', 60))).toBeCloseTo(51 * 60, -1);
    expect(Math.round(await signed('90 minutes', 60))).toBeCloseTo(-29 * 60, -1);
    expect(Math.round(await signed('90 minutes', 1_000))).toBeCloseTo(31 * 60, -1);
  });

  it('is as fresh as what is let finish first, while that is under way and its channel declared', async () => {
    const fresh = async (state: string, window: number): Promise<number> => {
      await pool.run(async (sql) => {
        await sql`UPDATE fleet SET signed_at = now()`;
        await sql`UPDATE channel SET signed_at = now(), freshness_window = 120`;
        await sql`UPDATE rollout SET signed_at = now()`;
        await sql`
          UPDATE rollout SET signed_at = now() - interval '30 minutes', state = ${state}
          WHERE rollout_id = (SELECT current_rollout_id FROM channel WHERE channel = 'stable')`;
        await sql`
          UPDATE channel SET freshness_window = ${window},
            declared_ref = CASE WHEN ${window}::int > 0 THEN declared_ref END
          WHERE channel = 'stable'`;
      });
      return Math.round((await pool.run((sql) => readFreshness(sql, 60)))?.seconds ?? NaN);
    };
    expect(await fresh('Active', 120)).toBeCloseTo(31 * 60, -1);
    expect(await fresh('Terminal', 120)).toBeCloseTo(61 * 60, -1);
    // Declared no more: that holds its hosts, and no signature helps.
    expect(await fresh('Active', 0)).toBeCloseTo(61 * 60, -1);
  });

  it('is old what a session keeps open', async () => {
    const options = { role: 'idler', max: 1, statementMs: 5_000 };
    const idler = createPool({ url, schema: 'muster', name: 'idler' }, options);
    await idler.run((sql) => sql`BEGIN ISOLATION LEVEL REPEATABLE READ`.simple());
    await idler.run((sql) => sql`SELECT count(*) FROM rollout`.simple());
    for (let i = 0; i < 5; i += 1) await pool.run((sql) => sql`SELECT pg_current_xact_id()`);
    expect((await pool.run(readHorizon)).transactions).toBeGreaterThanOrEqual(5);
    await idler.end();
  });
});
