/** Whom a leader waits for at last, however many wait before it: named to people, a prepared transaction too. */
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import postgres from 'postgres';
import { doctor } from '../../src/cli/doctor.ts';
import { endSilent, untouchable } from '../../src/db/in-the-way.ts';
import { migrate } from '../../src/db/migrate.ts';
import type { Sql } from '../../src/db/driver.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { run } from '../cli/support.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { BenchDatabase } from './suite/bench/database.ts';

const TAKE = 'UPDATE muster.epoch SET epoch = epoch';
const undo: (() => unknown)[] = [];
let database: BenchDatabase;
let pool: Pool;
let dba: postgres.Sql;

beforeEach(async () => {
  const dir = path.join(makeScratchDir('in-the-way'), 'pg');
  database = await BenchDatabase.start(dir, { max_prepared_transactions: '2' });
  undo.push(() => database.close());
  await database.migrate();
  const options = { url: database.url.href, schema: 'muster', name: 'muster-a' };
  pool = createPool(options, { role: 'test', max: 1, statementMs: 5_000 });
  dba = connect('psql');
  undo.push(() => pool.end());
  await dba`INSERT INTO muster.epoch (epoch, holder, address, version, since, incarnation,
      system_identifier, timeline, database_oid, log_oid)
    VALUES (1, 'a', 'a', '0', now(), 'i', 's', 1, 1, 1)`;
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function connect(application_name: string): postgres.Sql {
  const sql = postgres(database.url.href, {
    max: 1,
    onnotice: () => undefined,
    connection: { application_name },
  });
  undo.push(() => sql.end({ timeout: 0 }));
  return sql;
}

/** Backends that wait for the epoch, one behind the other. */
async function queue(): Promise<readonly number[]> {
  const pids: number[] = [];
  for (const name of ['muster-a:writer', 'muster-b:writer']) {
    const sql = connect(name);
    const [row] = await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    const pid = row?.pid ?? 0;
    sql.unsafe(TAKE).catch(() => undefined);
    await eventually(() => database.sql`SELECT pg_blocking_pids(${pid}) <> '{}' AS waits`).toEqual([
      { waits: true },
    ]);
    pids.push(pid);
  }
  return pids;
}

const examine = (schema = 'muster') =>
  run(doctor, '--database-url', database.url.href, '--schema', schema);

it('a session', async () => {
  const [holder] = await dba<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  const pid = holder?.pid ?? 0;
  await dba.unsafe(`BEGIN; ${TAKE}`);
  const [, last = 0] = await queue();
  expect(await pool.run((sql) => endSilent(sql, last))).toEqual([
    { pid, application: 'psql', ended: false, commits: false },
  ]);
  // Of an installation beside it nothing is held.
  await migrate({ url: database.url.href, name: 'second', schema: 'second' });
  expect((await examine('second')).stdout).not.toContain('blocked');
  await eventually(async () => (await examine()).stdout).toMatch(
    new RegExp(`wrong: blocked: .* session ${String(pid)} \\(psql, login .*pg_terminate_backend`),
  );
  await dba.unsafe('ROLLBACK');
  await eventually(async () => (await examine()).stdout).not.toContain('blocked');
});

it('who locks what the doctor would look at', async () => {
  await dba.unsafe('BEGIN; LOCK TABLE muster.event_log');
  const locked = await examine();
  expect([locked.code, locked.stdout]).toEqual([
    1,
    expect.stringMatching(/wrong: blocked: .* session \d+ \(psql, login .*pg_terminate_backend/),
  ]);
  await dba.unsafe("SET application_name = 'muster-migrate:migrate'");
  expect((await examine()).stdout).toMatch(/wrong: blocked: .*:migrate, login .*: leave it/);
  await dba.unsafe("PREPARE TRANSACTION 'maintenance'");
  expect((await examine()).stdout).toMatch(/wrong: blocked: .*'maintenance'.*ROLLBACK PREPARED/);
  await dba.unsafe("ROLLBACK PREPARED 'maintenance'");
  expect((await examine()).stdout).not.toContain('blocked');
});

/** A session of its own of a login. */
function as(username: string, application_name: string): postgres.Sql {
  const url = Object.assign(new URL(database.url.href), { username, password: 'x' });
  const connection = { application_name };
  const sql = postgres(url.href, { max: 1, onnotice: () => undefined, connection });
  undo.push(() => sql.end({ timeout: 0 }));
  return sql;
}

it('leaders that may not end each other', async () => {
  await dba.unsafe(
    "CREATE ROLE app_a LOGIN PASSWORD 'x'; CREATE ROLE app_b LOGIN SUPERUSER PASSWORD 'x'",
  );
  const own = as('app_a', 'muster-a:leader') as unknown as Sql;
  await as('app_b', 'muster-b:writer').unsafe(`BEGIN; ${TAKE}`);
  const [, last = 0] = await queue();
  expect(await untouchable(own)).toContain('app_b');
  expect(await endSilent(own, last)).toMatchObject([
    { application: 'muster-b:writer', ended: false, commits: null },
  ]);
  await dba.unsafe('GRANT pg_signal_backend, pg_read_all_stats TO app_a');
  expect(await untouchable(own)).toContain('app_b');
  expect(await endSilent(own, last)).toMatchObject([{ ended: false, commits: false }]);
  await dba.unsafe('ALTER ROLE app_b NOSUPERUSER');
  expect(await untouchable(own)).not.toContain('app_b');
  expect(await endSilent(own, last)).toMatchObject([{ ended: true }]);
});

it.each([
  ['its own, where a setting makes it another role', 'INHERIT', 'app_a', ''],
  [
    'what only that role may',
    'NOINHERIT',
    'app_b',
    'GRANT pg_signal_backend, pg_read_all_stats TO app;',
  ],
])('a login may end %s', async (_what, inherits, other, grant) => {
  await dba.unsafe(`CREATE ROLE app; GRANT ALL ON SCHEMA muster TO app; GRANT ALL ON ALL TABLES IN SCHEMA muster TO app;
    CREATE ROLE app_a LOGIN PASSWORD 'x' ${inherits} IN ROLE app; ALTER ROLE app_a SET role = 'app';
    CREATE ROLE app_b LOGIN PASSWORD 'x' ${inherits} IN ROLE app; ALTER ROLE app_b SET role = 'app'; ${grant}`);
  const own = as('app_a', 'muster-a:leader') as unknown as Sql;
  await as(other, 'muster-b:writer').unsafe(`BEGIN; ${TAKE}`);
  const [, last = 0] = await queue();
  expect(await untouchable(own)).not.toContain(other);
  expect(await endSilent(own, last)).toMatchObject([{ ended: true }]);
});

it('a prepared transaction', async () => {
  await dba.unsafe('CREATE TABLE others (id int)');
  await dba.unsafe("BEGIN; INSERT INTO others VALUES (1); PREPARE TRANSACTION 'innocent'");
  await dba.unsafe(`BEGIN; ${TAKE}; PREPARE TRANSACTION 'forgotten'`);
  // His waits are nobody's here.
  connect('psql')
    .unsafe('BEGIN; LOCK TABLE others')
    .catch(() => undefined);
  const asked = () => dba`SELECT FROM pg_locks WHERE NOT granted AND relation = 'others'::regclass`;
  await eventually(asked).toHaveLength(1);
  const [, last = 0] = await queue();
  expect(await pool.run((sql) => endSilent(sql, last))).toEqual([
    { pid: 0, application: "prepared transaction 'forgotten'", ended: false, commits: false },
  ]);
  await eventually(async () => (await examine()).stdout).toMatch(
    /wrong: blocked: .* prepared transaction 'forgotten': end it with ROLLBACK PREPARED/,
  );
  await dba.unsafe("ROLLBACK PREPARED 'forgotten'");
  await dba.unsafe("BEGIN; LOCK TABLE muster.epoch; PREPARE TRANSACTION 'forgotten'");
  await eventually(async () => (await examine()).stdout).not.toContain('innocent');
  const [, next = 0] = await queue();
  expect(await pool.run((sql) => endSilent(sql, next))).toMatchObject([
    { pid: 0, application: "prepared transaction 'forgotten'" },
  ]);
  await dba.unsafe("ROLLBACK PREPARED 'forgotten'");
  await dba.unsafe("ROLLBACK PREPARED 'innocent'");
});
