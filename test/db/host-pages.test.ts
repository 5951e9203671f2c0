/**
 * A page of the list of hosts, out of 100,000, whatever it is narrowed to: what it reads, which no busy machine
 * changes. By the plan for these parameters, and by that for any, which the server may take from the sixth time on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listHosts, type HostFilter } from '../../src/db/hosts.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';

const HOSTS = 100_000;
let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  // One connection: what is prepared on it is explained on it.
  pool = createPool(database, { role: 'test', max: 1, statementMs: 60_000 });
  await pool.run((sql) =>
    sql
      .unsafe(
        `INSERT INTO channel (channel, seq, freshness_window, current_rollout_id)
          SELECT 'c' || n, 1, 60, 'c' || n || '@1' FROM generate_series(0, 3) n;
        INSERT INTO declared_host SELECT 'host-' || lpad(n::text, 6, '0'),
          CASE WHEN n % 10 < 7 THEN 'c0' ELSE 'c' || (n % 4) END, 'x' FROM generate_series(1, ${String(HOSTS)}) n;
        INSERT INTO rollout (rollout_id, seq, channel, channel_ref, display_name, manifest_hash, signed_at,
            state, current_wave, ordinal, opened_at, plan, blockers)
          SELECT 'c' || n || '@1', 1, 'c' || n, '1', 'x', 'x', now(), 'Active', 0, n, now(), '{}', '[]'
          FROM generate_series(0, 3) n;
        INSERT INTO host_rollout (rollout_id, hostname, seq, channel, wave, state, target_closure, probes,
            last_event_seq, highest_refused_seq, unchanged, cleared, was_offered, target_sightings, stuck,
            rollback_failed)
          SELECT channel || '@1', hostname, 1, channel, 0,
            CASE WHEN hostname LIKE '%0077' THEN 'Failed' WHEN right(hostname, 1) IN ('1', '2', '3')
              THEN 'Converged' ELSE 'Pending' END, 'x', '{}', 0, 0, false, false, false, 0, false, false
          FROM declared_host;
        INSERT INTO host (hostname, seq, reachability) SELECT hostname, 1, 'reachable' FROM declared_host
          WHERE right(hostname, 1) IN ('1', '2', '3', '4') OR hostname LIKE '%77';
        ANALYZE`,
      )
      .simple(),
  );
}, 120_000);
afterAll(() => pool.end());

const ALL: HostFilter = {
  ...{ above: '', limit: 100, channel: null, prefix: null, reachability: null, state: null },
};

interface Node {
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Node[];
}

/** Rows out of tables and indexes, looked up or scanned, taken or not. */
function rowsOf(node: Node): number {
  const { Plans: parts = [] } = node;
  if (parts.length > 0) return parts.reduce((sum, part) => sum + rowsOf(part), 0);
  const each = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
  return Math.max(1, each) * node['Actual Loops'];
}

async function costOf(filter: HostFilter): Promise<{ found: number; rows: number }> {
  await pool.run((sql) => sql.unsafe('DEALLOCATE ALL').simple()).catch(() => undefined);
  const found = await pool.run((sql) => listHosts(sql, filter));
  const [prepared] = await pool.run((sql) =>
    sql
      .unsafe<{ name: string; statement: string }[]>(
        `SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE '%known AS%'`,
      )
      .simple(),
  );
  const { name = '', statement = '' } = prepared ?? {};
  const given = [...statement.matchAll(/(\S+) \$\d+/g)].map(([, before]) =>
    valueFor(filter, before),
  );
  const [row] = await pool.run((sql) =>
    sql.unsafe<{ 'QUERY PLAN': [{ Plan: Node }] }[]>(
      `EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "${name}"(${given.join(', ')})`,
    ),
  );
  const plan = row?.['QUERY PLAN'][0].Plan;
  return { found: found.length, rows: plan === undefined ? Infinity : rowsOf(plan) };
}

function valueFor({ above, limit, prefix, channel }: HostFilter, before: string | undefined) {
  if (before === 'LIMIT' || before === '<') return String(limit);
  if (before === '>') return `'${above}'`;
  return `'${(before === '=' ? channel : prefix) ?? ''}'`;
}

describe.each(['custom', 'generic'])('a page of 100,000 hosts, by a %s plan', (kind) => {
  beforeAll(() => pool.run((sql) => sql.unsafe(`SET plan_cache_mode = force_${kind}_plan`)));

  it.each<[string, Partial<HostFilter>, number, number]>([
    ['all', {}, 100, 2 * HOSTS],
    ['one condition', { reachability: 'never' }, 100, HOSTS],
    ['a state', { state: 'Pending' }, 100, 10_000],
    ['two that many meet', { reachability: 'never', state: 'Pending' }, 100, 10_000],
    ['of a channel', { reachability: 'never', state: 'Pending', channel: 'c1' }, 100, 10_000],
    ['late', { reachability: 'never', state: 'Pending', above: 'host-099000' }, 100, 2 * HOSTS],
    // Each index once, or a look-up for each host: tens of milliseconds on a machine that does nothing else.
    ['two that few meet', { reachability: 'reachable', state: 'Failed' }, 10, 5 * HOSTS],
    ['two that nobody meets', { reachability: 'never', state: 'Converged' }, 0, 6 * HOSTS],
  ])('%s', async (_, narrowed, found, most) => {
    const seen = await costOf({ ...ALL, ...narrowed });
    expect(seen.found).toBe(found);
    expect(seen.rows).toBeLessThan(most);
  });
});
