/**
 * The process that keeps the log bounded is killed with SIGKILL in the middle of each thing that it does: a
 * snapshot, a detach, an export. Whoever comes next finds the log whole and goes on. Each is held where it is
 * by a lock of ours, so that no luck is needed to hit it.
 */
import { once } from 'node:events';
import { existsSync, mkdtempSync, statSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { replay as replayCommand } from '../../src/cli/replay.ts';
import { createPool } from '../../src/db/pool.ts';
import { writeFleetLog } from '../eventlog/support/fleet-log.ts';
import { smallPartitions } from '../eventlog/support/small-partitions.ts';
import { run } from '../cli/support.ts';
import { eventually } from '../support/eventually.ts';
import { startNode, type TestProcess } from '../support/processes.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';

const FIXTURES = path.join(import.meta.dirname, '../fixtures');
const ROWS = 12_000;
const DETACHED = 'event_log_detached_p000000';
/** The advisory lock that whoever is to be killed waits for. */
const GATE = 4242;

let roles: RoleDatabase;
/** A superuser, whose one session holds the gate. */
let sql: postgres.Sql;
let folder: string;
let file: string;

beforeAll(async () => {
  roles = await createRoleDatabase(smallPartitions());
  sql = postgres(roles.url, { max: 1, connection: { search_path: 'muster' } });
  const pool = createPool(
    { url: roles.url, schema: 'muster', name: 'test' },
    { role: 'test', max: 1, statementMs: 20_000 },
  );
  await writeFleetLog((statements) => pool.run(statements), { hosts: 100, rows: ROWS });
  await pool.end();
  await sql`INSERT INTO epoch (epoch, holder, address, version, since, incarnation,
      system_identifier, timeline, database_oid)
    VALUES (1, 'a', 'http://a', '1', now(), 'i1', '', 0, 0)`;
  folder = mkdtempSync(path.join(inject('scratchDir'), 'log-'));
  file = path.join(folder, 'event-log-p000000.jsonl.gz');
});
afterAll(async () => {
  await sql.end();
  await roles.drop();
});

/** `muster serve` that works and does nothing else, with every bound of the log long passed. */
function startWorker(): TestProcess {
  return startNode([path.resolve('dist/cli/muster.js'), 'serve', '--roles', 'workers'], {
    env: {
      MUSTER_DATABASE_URL: roles.as('leader'),
      MUSTER_STRICT: 'false',
      MUSTER_LISTEN_PORT: '0',
      MUSTER_SOURCE: path.join(FIXTURES, 'good'),
      MUSTER_TRUST_FILE: path.join(FIXTURES, 'trust.json'),
      MUSTER_POLL_SECONDS: '3600',
      MUSTER_CHECKPOINT_MINUTES: '0.01', // a detach that meets an autovacuum is tried again
      MUSTER_LOG_RETENTION_DAYS: '0.01',
      MUSTER_LOG_EXPORT_DIR: folder,
    },
  });
}

/** Kills it where it waits; its sessions are left to the server. */
async function killWaiting(worker: TestProcess): Promise<void> {
  await eventually(waiting).toBe(1);
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

async function waiting(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::int FROM pg_locks WHERE NOT granted
      AND (relation = 'snapshot_part'::regclass OR (locktype = 'advisory' AND objid = ${GATE}))`;
  return row?.count ?? 0;
}

/** The server has noticed that nobody is there, and has ended what was begun, either way. */
async function leftAlone(): Promise<void> {
  await eventually(sessions).toBe(0);
}

async function sessions(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::int FROM pg_stat_activity WHERE usename = ${`${roles.prefix}_leader_1`}`;
  return row?.count ?? 0;
}

/** Every row is where it was, chained, in the log or in what was detached. */
async function expectWhole(detached: string[]): Promise<void> {
  const found = await sql<{ name: string }[]>`SELECT name FROM log_detached`;
  expect(found.map(({ name }) => name)).toEqual(detached);
  const parts = await sql<{ relname: string }[]>`
    SELECT relname FROM pg_class WHERE relname IN (${DETACHED}, 'event_log_p000000')`;
  const expected = detached.length === 0 ? ['event_log_p000000'] : detached;
  expect(parts.map(({ relname }) => relname)).toEqual(expected);
  const [bad] = await sql<{ seq: number | null }[]>`SELECT muster_v1.verify_chain() AS seq`;
  expect(bad?.seq).toBeNull();
}

it('in a snapshot: nothing of it is left, and nothing is detached', async () => {
  await sql`BEGIN`;
  await sql`LOCK TABLE snapshot_part IN SHARE MODE`;
  await killWaiting(startWorker());
  await sql`ROLLBACK`;
  await leftAlone();
  const [left] = await sql<{ snapshots: number; parts: number }[]>`
    SELECT (SELECT count(*) FROM snapshot)::int AS snapshots, (SELECT count(*) FROM snapshot_part)::int AS parts`;
  expect(left).toEqual({ snapshots: 0, parts: 0 });
  await expectWhole([]);
});

it('in a detach whose session dies too: it never was', async () => {
  await sql.unsafe(`
    CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
      'BEGIN PERFORM pg_advisory_xact_lock(${String(GATE)}); RETURN NEW; END';
    CREATE TRIGGER gate AFTER INSERT ON log_detached FOR EACH ROW EXECUTE FUNCTION public.gate();
    SELECT pg_advisory_lock(${String(GATE)})`);
  await killWaiting(startWorker());
  await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = ${`${roles.prefix}_leader_1`}`;
  await leftAlone();
  await expectWhole([]);
});

it('in a detach that the server ends alone: it is whole, and remembered as not exported', async () => {
  await killWaiting(startWorker());
  await sql`SELECT pg_advisory_unlock(${GATE})`;
  await leftAlone();
  await expectWhole([DETACHED]);
  expect(existsSync(file)).toBe(false);
});

it('in an export: no file is there that is not whole, and the next process writes it', async () => {
  // Its second page waits, when the first is in the file; a scan of the whole would wait before the first.
  await sql.unsafe(`
    ALTER ROLE ${roles.prefix}_leader_1 SET enable_seqscan = off;
    ALTER ROLE ${roles.prefix}_leader_1 SET enable_bitmapscan = off;
    SELECT pg_advisory_lock(${String(GATE)});
    ALTER TABLE ${DETACHED} RENAME TO behind_the_gate;
    CREATE VIEW ${DETACHED} AS SELECT * FROM behind_the_gate
      WHERE seq < 5500 OR pg_advisory_xact_lock_shared(${String(GATE)}) IS NOT NULL;
    GRANT SELECT ON ${DETACHED} TO ${roles.prefix}_leader`);
  const worker = startWorker();
  const partial = `${file}.partial`;
  const written = (): number => (existsSync(partial) ? statSync(partial).size : 0);
  await eventually(written).toBeGreaterThan(0);
  await killWaiting(worker);
  await sql`SELECT pg_advisory_unlock(${GATE})`;
  await sql.unsafe(`DROP VIEW ${DETACHED}; ALTER TABLE behind_the_gate RENAME TO ${DETACHED}`);
  await leftAlone();
  const exported = async (): Promise<string | null | undefined> =>
    (await sql<{ file: string | null }[]>`SELECT exported_to AS file FROM log_detached`)[0]?.file;
  expect([existsSync(file), await exported()]).toEqual([false, null]);

  const next = startWorker();
  await eventually(exported).toBe(file);
  const gone = once(next, 'exit');
  next.kill('SIGTERM');
  await gone;
  expect(existsSync(partial)).toBe(false);
  const flags = ['--verify', '--json', '--archive', file, '--database-url', roles.url];
  const [head] = await sql<{ seq: number }[]>`SELECT max(seq)::int AS seq FROM event_log`;
  expect((await run(replayCommand, ...flags)).json).toMatchObject({ ok: true, rows: head?.seq });
});
