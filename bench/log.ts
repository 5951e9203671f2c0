/**
 * `npm run bench -- log`: a log of a million rows, as a fleet of 20,000 hosts writes it release after release:
 * what a row costs on disk, what its hash chain adds to writing it, how long it takes to fold and to check
 * everything, and what pages of it cost. The rows are decided by the real core and stored with the state that
 * follows from them; queue and HTTP, which come on top of a row, are left out, so the chain's share of the way
 * that an event takes is smaller than its share here.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type postgres from 'postgres';
import { createPool, type Pool } from '../src/db/pool.ts';
import { readTail } from '../src/eventlog/tail.ts';
import { chainAlone } from '../test/eventlog/support/chain-alone.ts';
import { writeFleetLog } from '../test/eventlog/support/fleet-log.ts';
import { environment, startDatabase, type Database } from './installation.ts';
import { machine } from './machine.ts';
import { medians, percentiles, round } from './numbers.ts';
import type { BenchOptions } from './options.ts';
import { cpuOfMachine } from './usage.ts';

const ROWS = 1_000_000;
const HOSTS = 20_000;
/** Of each page, in a round. */
const CALLS = 50;
const PAGE_ROWS = 1_000;
/** Folding a million rows is allowed a minute; this is for machines that are not free. */
const STATEMENT_MS = 600_000;

export async function benchLog({ json, rounds }: BenchOptions): Promise<void> {
  const database = await startDatabase();
  const { url, version } = database.postgres;
  const options = { role: 'bench', max: 2, statementMs: STATEMENT_MS };
  const pool = createPool({ url, schema: 'muster', name: 'bench' }, options);
  try {
    const writing = await write(pool);
    await database.sql`VACUUM ANALYZE`;
    const disk = await bytesOf(database.sql);
    const seen = [];
    for (let turn = 0; turn < rounds; turn += 1) seen.push(await check(database));
    const report = {
      machine: machine(version),
      ...{ rows: ROWS, hosts: HOSTS, rounds, writing, bytesPerRow: disk },
      seconds: medians(seen),
      pagesMs: await pages(database.sql, pool),
    };
    console.log(json ? JSON.stringify(report) : report);
  } finally {
    await pool.end();
    await database.close();
  }
}

/** Deciding, chaining and storing, from an empty database; then the chain once more, by itself. */
async function write(pool: Pool) {
  const [began, cpuBefore] = [performance.now(), cpuOfMachine()];
  await writeFleetLog((statements) => pool.run(statements), { hosts: HOSTS, rows: ROWS });
  const ms = performance.now() - began;
  // PostgreSQL works while we wait for it: what both took, and not the time that passed, is the cost.
  const cpuMs = (cpuOfMachine() - cpuBefore) * 1_000;
  const chainMs = await chainAlone(pool);
  return {
    seconds: round(ms / 1_000),
    chainSeconds: round(chainMs / 1_000),
    chainShareOfTime: round(chainMs / ms),
    chainShareOfCpu: round(chainMs / cpuMs),
  };
}

/** Of the log and each of its indexes, by what they index. */
async function bytesOf(sql: postgres.Sql): Promise<Record<string, number>> {
  const [count] = await sql<{ rows: number }[]>`SELECT count(*)::int AS rows FROM event_log`;
  const parts = await sql<{ name: string; bytes: number }[]>`
    SELECT CASE c.relkind WHEN 'i' THEN 'index ' || regexp_replace(c.relname, '^event_log_p\\d+_', '')
      ELSE 'rows' END AS name, sum(pg_relation_size(c.oid))::float8 AS bytes
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
      JOIN pg_class c ON c.oid = p.oid OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = p.oid)
    WHERE i.inhparent = 'event_log'::regclass GROUP BY 1 ORDER BY 2 DESC`;
  const [all] = await sql<{ bytes: number }[]>`
    SELECT sum(pg_total_relation_size(inhrelid))::float8 AS bytes
    FROM pg_inherits WHERE inhparent = 'event_log'::regclass`;
  const rows = count?.rows ?? 0;
  return Object.fromEntries(
    [{ name: 'all', bytes: all?.bytes ?? 0 }, ...parts].map(({ name, bytes }) => [
      name,
      round(bytes / rows),
    ]),
  );
}

/** Everything that looks at the whole of it, as a user would start it. */
async function check({ postgres: { url }, sql }: Database) {
  const took = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return (performance.now() - began) / 1_000;
  };
  return {
    replayVerify: await took(() => muster(url, 'replay', '--verify')),
    logVerify: await took(() => muster(url, 'log', 'verify')),
    verifyChainSql: await took(() => chainIsWhole(sql)),
  };
}

async function muster(url: string, ...args: string[]): Promise<void> {
  const program = ['dist/cli/muster.js', ...args, '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, program, {
    env: environment(url),
  });
  if (!stdout.includes('"ok":true')) throw new Error(`muster ${args.join(' ')}: ${stdout}`);
}

async function chainIsWhole(sql: postgres.Sql): Promise<void> {
  const [row] = await sql<{ bad: number | null }[]>`SELECT muster_v1.verify_chain() AS bad`;
  if (row?.bad !== null) throw new Error('the chain is not whole');
}

/** One reader, one page after the other; of the largest rollout that was finished long before the end. */
async function pages(sql: postgres.Sql, pool: Pool) {
  const [large] = await sql<{ id: string; last: number; rows: number }[]>`
    SELECT rollout_id AS id, max(seq)::int AS last, count(*)::int AS rows FROM event_log
    WHERE seq < ${ROWS / 2} AND rollout_id IS NOT NULL GROUP BY 1 ORDER BY 3 DESC LIMIT 1`;
  if (large === undefined) throw new Error('there is no rollout');
  const [host] = await sql<{ name: string }[]>`
    SELECT hostname AS name FROM host_rollout WHERE rollout_id = ${large.id} LIMIT 1`;
  const hostname = host?.name ?? '';
  const { id: rolloutId, last, rows } = large;
  const limit = PAGE_ROWS;
  const asked = [
    ['the newest', { after: null, limit: 50 }],
    ['a page of the log', { after: ROWS / 2, limit }],
    [`a page within a rollout of ${String(rows)} rows`, { after: last - 20_000, limit, rolloutId }],
    ['a page past its end', { after: last, limit, rolloutId }],
    ['a page past its end, at the head of the log', { after: ROWS, limit, rolloutId }],
    ['its newest', { after: null, limit: 50, rolloutId }],
    ['a host', { after: 0, limit, hostname }],
    ['a rare kind', { after: 0, limit, kind: 'manifest_set' }],
  ] as const;
  const found: Record<string, object> = {};
  for (const [name, query] of asked) {
    const times = new Float64Array(CALLS);
    for (let i = 0; i <= CALLS; i += 1) {
      const began = performance.now();
      await pool.run((statements) => readTail(statements, query));
      // The first finds what the others left of the caches.
      if (i > 0) times[i - 1] = performance.now() - began;
    }
    const { p50, p99, max } = percentiles(times);
    found[name] = { p50, p99, max };
  }
  return found;
}
