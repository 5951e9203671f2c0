/** What the doctor finds at servers that are really so: poolers, a standby, poor rights, writes that are not durable. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import postgres from 'postgres';
import { diagnose } from '../../src/cli/doctor-rules.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { readFacts } from '../../src/db/doctor.ts';
import { readHorizon } from '../../src/db/measure.ts';
import { createPool } from '../../src/db/pool.ts';
import type { Sql } from '../../src/db/driver.ts';
import { openSession } from '../../src/db/session.ts';
import { BenchDatabase } from '../faults/suite/bench/database.ts';
import { Standby } from '../faults/suite/bench/standby.ts';
import { Framer } from '../faults/suite/wire/messages.ts';
import { startProxy } from '../faults/suite/wire/proxy.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startPooler } from '../support/pooler.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { startReplica } from '../support/installation.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { run } from './support.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function listen(onClient: (client: net.Socket) => void): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    onClient(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function at(url: string, port: number): string {
  const other = new URL(url);
  other.hostname = '127.0.0.1';
  other.port = String(port);
  return other.href;
}

const examine = (url: string) => run(doctor, '--database-url', url, '--schema', 'muster');

it('a pooler: it greets with another backend than the one that answers', async () => {
  const { url } = await createTestDatabase();
  const real = new URL(url);
  const port = await listen((client) => {
    const server = net.connect(Number(real.port), real.hostname);
    const fromServer = new Framer(false);
    client.pipe(server);
    server.on('error', () => undefined);
    server.on('close', () => client.destroy());
    server.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of fromServer.push(chunk)) {
        if (type === 'K') bytes.writeInt32BE(4_711, 5); // BackendKeyData: its pid
        client.write(bytes);
      }
    });
    client.on('close', () => server.destroy());
  });
  const outcome = await examine(at(url, port));
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toMatch(/wrong: pooler: .*give the URL of PostgreSQL itself/);
});

it('a transaction pooler that greets with the backend that it connected', async () => {
  const { url } = await createTestDatabase();
  const pooler = await startPooler(url);
  undo.push(() => pooler.close());
  const { code, stdout } = await examine(at(url, pooler.port));
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: pooler: .*give the URL of PostgreSQL itself/);
});

it('a way on which notifications get lost', async () => {
  const { url } = await createTestDatabase();
  const proxy = await startProxy(Number(new URL(url).port));
  undo.push(() => proxy.close());
  proxy.line.dropNotifications = true;
  const { code, stdout } = await examine(at(url, proxy.port));
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: notifications: .*give the URL of PostgreSQL itself/i);
});

it('an address behind which nobody answers, as of a balancer without a server', async () => {
  const { url } = await createTestDatabase();
  const port = await listen((client) => client.destroy());
  const { code, stderr } = await examine(at(url, port));
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/closed from the other side: see whether PostgreSQL|ECONNRESET/),
  ]);
});

it('a pooler in session mode that drops the settings of a connection', async () => {
  const { url, name } = await createTestDatabase();
  const sql = postgres(url, { max: 1 });
  undo.push(() => sql.end());
  await sql.unsafe(`ALTER DATABASE ${name} SET search_path = muster`);
  const port = await listen((client) => {
    const server = net.connect(Number(new URL(url).port), new URL(url).hostname);
    server.on('error', () => undefined);
    client.on('error', () => undefined);
    client.once('data', (startup: Buffer) => {
      server.write(onlyLogin(startup));
      client.pipe(server);
    });
    server.pipe(client);
    client.on('close', () => server.destroy());
  });
  const { code, stdout } = await examine(at(url, port));
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: settings: .*are dropped.*give the URL of PostgreSQL itself/);
});

/** A startup message without all but user and database. */
function onlyLogin(startup: Buffer): Buffer {
  const words = startup.subarray(8).toString().split('\0');
  const kept = words.flatMap((word, i) =>
    i % 2 === 0 && ['user', 'database'].includes(word) ? [word, words[i + 1] ?? ''] : [],
  );
  const body = Buffer.from(`${kept.join('\0')}\0\0`);
  const head = Buffer.from(startup.subarray(0, 8));
  head.writeInt32BE(8 + body.length, 0);
  return Buffer.concat([head, body]);
}

it('a pooler that refuses the settings of a connection, as PgBouncer does unless told otherwise', async () => {
  const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: search_path', ''];
  const body = Buffer.from(fields.join('\0') + '\0');
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  const port = await listen((client) => {
    client.once('data', () => client.end(Buffer.concat([head, body])));
  });
  const outcome = await examine(`postgres://x@127.0.0.1:${String(port)}/x`);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toMatch(/08P01.*pooler.*give the URL of PostgreSQL itself/);
});

it('a standby', async () => {
  const dir = makeScratchDir('doctor-standby');
  const primary = await BenchDatabase.start(path.join(dir, 'primary'), {
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
  });
  undo.push(() => primary.close());
  await primary.migrate();
  const standby = await Standby.start(primary, path.join(dir, 'standby'), false);
  undo.push(() => standby.close());
  const outcome = await examine(standby.server.url);
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toMatch(/wrong: standby: .*give the URL of the primary/);
  await expectHorizonOf(primary, standby);
  await primary.sql.unsafe("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
  await primary.sql`SELECT pg_reload_conf()`;
  await eventually(async () => (await examine(primary.url.href)).stdout).toContain(
    'wrong: standby-away: ',
  );
  // As any process does: its commit waits, with the lock that whoever notifies needs.
  const session = await primary.sql.reserve();
  await session`SET synchronous_commit = on`;
  const waits = session
    .unsafe('BEGIN; CREATE TABLE public.written (); NOTIFY muster; COMMIT')
    .then(() => {
      session.release();
    });
  const waiting = (sql: Sql) => sql`SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
  await eventually(async () => (await primary.pool.run(waiting)).length).toBe(1);
  const { code, stdout } = await examine(primary.url.href);
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: commits-hang: [\s\S]*wrong: standby-away: /);
  const other = await primary.sql.reserve();
  await other`SET synchronous_commit = off`;
  await other.unsafe('ALTER SYSTEM RESET synchronous_standby_names');
  await other`SELECT pg_reload_conf()`;
  other.release();
  await waits;
});

/** A report on a standby with hot_standby_feedback holds back vacuum on the primary. */
async function expectHorizonOf(primary: BenchDatabase, standby: Standby): Promise<void> {
  const report = postgres(standby.server.url, { max: 1 });
  undo.push(() => report.end({ timeout: 1 }));
  await report.unsafe('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await report`SELECT count(*) FROM muster.fleet`;
  for (let i = 0; i < 50; i += 1) await primary.sql`SELECT pg_current_xact_id()`;
  await eventually(
    async () => (await primary.pool.run(readHorizon)).transactions,
  ).toBeGreaterThanOrEqual(50);
}

it('logins of the roles: each is judged by what it is for, and what it lacks is named', async () => {
  const database = await createRoleDatabase();
  undo.push(() => database.drop());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  undo.push(() => sql.end());
  const { prefix } = database;
  const api = await examine(database.as('api'));
  expect([api.code, api.stdout]).toEqual([0, expect.stringMatching(/warning: leader-rights: /)]);
  const leader = await examine(database.as('leader'));
  expect(leader.code, leader.stdout).toBe(0);
  expect(leader.stdout).toMatch(/warning: api-rights: .*right as MUSTER_LEADER_DATABASE_URL/);

  await sql.unsafe(`REVOKE INSERT, UPDATE ON muster.presence FROM ${prefix}_api`);
  await sql.unsafe(`REVOKE UPDATE (lock_only) ON muster.dispatch FROM ${prefix}_api`);
  expect((await examine(database.as('api'))).stdout).toMatch(
    /wrong: rights: to serve, the role lacks UPDATE \(lock_only\) on dispatch, INSERT on presence, UPDATE on presence: /,
  );
  await sql.unsafe(`REVOKE DELETE ON muster.input_queue FROM ${prefix}_leader`);
  await sql.unsafe(`REVOKE EXECUTE ON FUNCTION muster.fence(bigint) FROM ${prefix}_leader`);
  expect((await examine(database.as('leader'))).stdout).toMatch(
    /wrong: rights: to lead and work, the role lacks DELETE on input_queue, EXECUTE on fence\(bigint\): /,
  );
  await sql.unsafe(`REVOKE SELECT ON muster.schema_migration FROM ${prefix}_api`);
  expect((await examine(database.as('api'))).stdout).toMatch(/SELECT on schema_migration/);
  await sql.unsafe(`REVOKE USAGE ON SCHEMA muster FROM ${prefix}_api`);
  const shut = await examine(database.as('api'));
  expect(shut.stdout).toMatch(/wrong: rights: the role may not use the schema/);
  expect(shut.stdout).not.toMatch(/schema is at version/);
  await sql.unsafe(`ALTER ROLE ${prefix}_api_1 SET default_transaction_read_only = on`);
  expect((await examine(database.as('api'))).stdout).toMatch(/wrong: read-only: /);
});

it('row level security: what it hides is no empty table, and is named', async () => {
  const database = await createRoleDatabase();
  undo.push(() => database.drop());
  const sql = postgres(database.url, { max: 1 });
  undo.push(() => sql.end());
  await sql`ALTER TABLE muster.fleet ENABLE ROW LEVEL SECURITY`;
  const leader = { url: database.as('leader'), schema: 'muster', name: 'test' };
  const pool = createPool(leader, { role: 'test', max: 1, statementMs: 5_000 });
  undo.push(() => pool.end());
  await expect(pool.run((on) => on`SELECT FROM fleet`)).rejects.toMatchObject({ code: '42501' });
  for (const login of ['api', 'leader'] as const) {
    const { code, stdout } = await examine(database.as(login));
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/wrong: row-security: .*of fleet.*DISABLE ROW LEVEL SECURITY/),
    ]);
  }
  await sql`ALTER TABLE muster.fleet DISABLE ROW LEVEL SECURITY`;
  expect(await examine(database.as('leader'))).toMatchObject({ code: 0 });
});

it('a database whose statements may take next to no time: ours have deadlines of their own', async () => {
  const { url, name } = await createTestDatabase();
  const sql = postgres(url, { max: 1 });
  undo.push(() => sql.end());
  await sql.unsafe(`ALTER DATABASE ${name} SET statement_timeout = '1ms'`);
  expect(await examine(url)).toMatchObject({ code: 0 });
  const replica = startReplica(url, 'patient');
  undo.push(() => replica.stop());
  await replica.lead();
});

it("a stranger that holds the leader's lock", async () => {
  const { url } = await createTestDatabase();
  const stranger = postgres(url, { max: 1, connection: { application_name: 'psql' } });
  undo.push(() => stranger.end());
  await stranger`
    SELECT pg_advisory_lock(1297416193, 'muster.epoch'::regclass::oid::bigint::bit(32)::int)`;
  const { code, stdout } = await examine(url);
  expect(code).toBe(0);
  expect(stdout).toMatch(/warning: leader-lock: no Muster but the session \d+ \("psql"\)/);
});

it('a role without rights, commits that are not waited for, and a vacuum that knows nothing', async () => {
  const { url, name } = await createTestDatabase();
  const role = `${name}_poor`;
  const sql = postgres(url, { max: 1 });
  undo.push(async () => {
    await sql.unsafe(`DROP OWNED BY ${role}`);
    await sql.unsafe(`DROP ROLE ${role}`);
    await sql.end();
  });
  await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'`);
  await sql.unsafe(`GRANT USAGE ON SCHEMA muster TO ${role}`);
  await sql.unsafe(`GRANT SELECT ON muster.schema_migration TO ${role}`);
  await sql.unsafe(`ALTER DATABASE ${name} SET synchronous_commit = off`);
  await sql.unsafe(`ALTER DATABASE ${name} SET track_counts = off`);
  await sql`REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC`;
  const poor = new URL(url);
  poor.username = role;
  poor.password = 'poor';
  const { code, stdout } = await examine(poor.href);
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: rights: .*run "muster migrate"/);
  expect(stdout).toMatch(/warning: leader-rights: /);
  expect(stdout).toMatch(/wrong: functions: .*pg_walfile_name\(pg_lsn\).*GRANT EXECUTE/);
  expect(stdout).toMatch(/warning: autovacuum: .*track_counts/);
  expect(stdout).toMatch(/warning: stats: /);
  expect(stdout).toMatch(/wrong: synchronous-commit: .*set it to on/);
});

it('a clock that is off, and a transaction that stays open', async () => {
  const { url } = await createTestDatabase();
  const forgetful = postgres(url, { max: 1 });
  undo.push(() => forgetful.end({ timeout: 1 }));
  await forgetful.unsafe('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await forgetful`SELECT txid_current()`;
  const database = { url, schema: 'muster', name: 'test' };
  const session = await openSession(database, { role: 'doctor', settings: {}, deadlineMs: 10_000 });
  undo.push(() => session.end());
  const facts = await session.run((sql) => readFacts(sql, 'muster', () => Date.now() - 60_000));
  const path = {
    keepsSession: true,
    dropsSettings: null,
    hears: true,
    readOnly: false,
    leaderUrl: null,
  };
  expect(diagnose({ ...facts, ...path })).toContainEqual(
    expect.objectContaining({ level: 'wrong', check: 'clock' }),
  );
  expect(facts.horizon.transactions).toBeGreaterThan(0);
  expect(facts.horizon.seconds).toBeGreaterThan(0);
});

it('a prepared transaction, which no session shows', async () => {
  const dir = makeScratchDir('doctor-prepared');
  const server = await BenchDatabase.start(dir, { max_prepared_transactions: '1' });
  undo.push(() => server.close());
  const session = await server.sql.reserve();
  await session.unsafe('BEGIN; CREATE TABLE public.t ()');
  await session.unsafe("PREPARE TRANSACTION 'forgotten'");
  session.release();
  expect((await server.pool.run(readHorizon)).seconds).toBeGreaterThan(0);
});

it('a login that may not open as many connections as a process takes', async () => {
  const database = await createRoleDatabase();
  undo.push(() => database.drop());
  const sql = postgres(database.url, { max: 1 });
  undo.push(() => sql.end());
  await sql.unsafe(`ALTER ROLE ${database.prefix}_api_1 CONNECTION LIMIT 4`);
  const { code, stdout } = await examine(database.as('api'));
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/connections: the CONNECTION LIMIT of the login allows 4 connections/),
  ]);
});

it('a table of locks that somebody fills', async () => {
  const dir = makeScratchDir('doctor-locks');
  const few = { max_locks_per_transaction: '10', max_connections: '20' };
  const server = await BenchDatabase.start(dir, few);
  undo.push(() => server.close());
  const filling = server.sql.unsafe(
    'SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 100000) i',
  );
  // What it took before it failed stays taken.
  await expect(filling).rejects.toMatchObject({ code: '53200' });
  const { code, stderr } = await examine(server.url.href);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/53200.*most rows in pg_locks/)]);
});
