/** Why a process is not ready, on real databases in real trouble: each has a sentence of its own, which the guide has, too. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { afterEach, expect, it } from 'vitest';
import { BenchDatabase } from '../faults/suite/bench/database.ts';
import { Standby } from '../faults/suite/bench/standby.ts';
import { createTestDatabase } from '../support/database.ts';
import { startHttpServer, until } from '../support/http-server.ts';
import { openDoor } from '../support/late-port.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';
import { makeScratchDir } from '../support/scratch.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** As written in the guide: texts of the table, where … stands for anything. */
const GUIDE = readFileSync('docs/guides/troubleshooting.md', 'utf8');
const TOLD = [...GUIDE.matchAll(/^\| `([^|]+)` \| /gm)].map(([, text = '']) => ({
  text,
  is: new RegExp(`^${text.replaceAll(/[.*+?^${}()[\]\\]/g, '\\$&').replaceAll('…', '.*')}$`),
}));

type Asks = () => Promise<string>;

/** Nobody leads, so that what waits goes on waiting. */
async function start(url: string, settings: Readonly<Record<string, string>> = {}): Promise<Asks> {
  const server = await startHttpServer(url, { MUSTER_ROLES: 'api', ...settings });
  undo.push(() => server.stop());
  return async () => {
    const answer = await server.call('GET', '/readyz');
    const { reasons } = (await answer.json()) as { reasons: string[] };
    return reasons.join('; ');
  };
}

/** What `/readyz` says; it names no place and no login, and the guide has exactly one row for it. */
async function said(url: string, settings: Readonly<Record<string, string>> = {}): Promise<string> {
  const reason = await (await start(url, settings))();
  expectTold(reason, url);
  return reason;
}

function expectTold(reason: string, url: string): void {
  expect([reason, TOLD.filter(({ is }) => is.test(reason)).length]).toEqual([reason, 1]);
  const { host, username, password } = new URL(url);
  for (const secret of [host, username, password]) expect(reason).not.toContain(secret);
}

function changed(url: string, change: (url: URL) => void): string {
  const other = new URL(url);
  change(other);
  return other.href;
}

async function asOwner(url: string, statement: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(statement);
  await sql.end();
}

async function roles(): Promise<RoleDatabase> {
  const database = await createRoleDatabase();
  undo.push(() => database.drop());
  return database;
}

it('nobody answers: from the start, and once the database is gone', async () => {
  const { url } = await createTestDatabase();
  const away = changed(url, (one) => (one.port = '1'));
  expect(await said(away)).toMatch(
    /^the database does not answer \(ECONNREFUSED\): nothing listens/,
  );
  const door = await openDoor(new URL(url));
  undo.push(() => door.close());
  const ask = await start(changed(url, (one) => (one.port = String(door.port))));
  expect(await ask()).toBe('no manifest set has been verified yet');
  door.leadTo(null);
  await asOwner(
    url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()`,
  );
  const reason = await until(ask, (text) => text.startsWith('the database does not answer'));
  expectTold(reason, url);
});

it('the login is refused, or the database is not there', async () => {
  const { url } = await createTestDatabase();
  expect(await said(changed(url, (one) => (one.password = 'wrong')))).toMatch(
    /^the database refuses the login \(28P01\): check user and password/,
  );
  expect(await said(changed(url, (one) => (one.pathname = '/no_such')))).toMatch(
    /^the database refuses the login \(3D000\): create the database/,
  );
});

it("the leader's database is not there", async () => {
  const { url } = await createTestDatabase();
  const ask = await start(url, {
    MUSTER_ROLES: 'leader,workers',
    MUSTER_LEADER_DATABASE_URL: changed(url, (one) => (one.pathname = '/no_such')),
  });
  const reason = await until(ask, (text) => text.includes('3D000'));
  expect(reason).toMatch(/^MUSTER_LEADER_DATABASE_URL serves no leader: the database refuses/);
  expectTold(reason, url);
});

it("the leader's database is another one", async () => {
  const [{ url }, { url: other }] = [await createTestDatabase(), await createTestDatabase()];
  const settings = { MUSTER_ROLES: 'leader,workers', MUSTER_LEADER_DATABASE_URL: other };
  expect(await said(url, settings)).toBe(
    'MUSTER_LEADER_DATABASE_URL leads to another database than MUSTER_DATABASE_URL, and what agents send there would wait for ever: correct one of them',
  );
  const ask = await start(url, { ...settings, MUSTER_LEADER_DATABASE_URL: url });
  await until(ask, (text) => text === '');
});

it('the schema is missing, of another version, or hidden', async () => {
  const { url } = await createTestDatabase();
  expect(await said(url, { MUSTER_SCHEMA: 'never_migrated' })).toBe(
    'the schema is at version none: run "muster migrate"',
  );
  await asOwner(url, 'DELETE FROM muster.schema_migration WHERE version = 2');
  expect(await said(url)).toMatch(/^the schema is at version \d+ and lacks 0002.*muster migrate/);
  const { url: newer } = await createTestDatabase();
  await asOwner(
    newer,
    `INSERT INTO muster.schema_migration (version, name, checksum, oldest_code)
    VALUES (9999, '9999_contract.sql', 'x', 9998)`,
  );
  expect(await said(newer)).toMatch(
    /^the schema is at version 9999, and 9999_contract.* upgrade it/,
  );
  const shut = await roles();
  await asOwner(shut.url, `REVOKE USAGE ON SCHEMA muster FROM ${shut.prefix}_api`);
  expect(await said(shut.as('api'))).toMatch(
    /may not use the schema: run "muster migrate --roles"/,
  );
});

it('rights are missing: of a login that may not look, and of one that may not store', async () => {
  const database = await roles();
  expect(await said(database.as('readonly'))).toMatch(
    /^the database refuses a statement \(42501\): the login lacks a right, which "muster doctor" names/,
  );
  await asOwner(database.url, `REVOKE SELECT ON muster.input_queue FROM ${database.prefix}_api`);
  expect(await said(database.as('api'))).toMatch(/^the database refuses a statement \(42501\): /);
});

it('nothing can be written: by a setting, and on a standby', async () => {
  const database = await roles();
  const login = `${database.prefix}_api_1`;
  await asOwner(database.url, `ALTER ROLE ${login} SET default_transaction_read_only = on`);
  const READS =
    /^the database takes no writes \(25006\): it is a standby, or read only by a setting/;
  expect(await said(database.as('api'))).toMatch(READS);
  const dir = makeScratchDir('ready-standby');
  const primary = await BenchDatabase.start(path.join(dir, 'primary'));
  undo.push(() => primary.close());
  await primary.migrate();
  const standby = await Standby.start(primary, path.join(dir, 'standby'), false);
  undo.push(() => standby.close());
  expect(await said(standby.server.url)).toMatch(READS);
});

it('the queue is full: of rows, of bytes, or of what waits too long', async () => {
  const { url } = await createTestDatabase();
  const few = ['QUEUE_MAX_ROWS', 'BATCHER_MAX_ROWS', 'BATCH_ROWS'].map((name) => [
    `MUSTER_${name}`,
    '100',
  ]);
  const settings = Object.fromEntries(few) as Record<string, string>;
  const store = (rows: number, more: string, at = 'now()') =>
    asOwner(
      url,
      `INSERT INTO muster.input_queue (kind, payload, enqueued_at)
      SELECT 'Tick', json_build_object('kind', 'Tick', 'pad', ${more}), ${at} FROM generate_series(1, ${String(rows)})`,
    );
  await store(1, "''", "now() - interval '5 minutes'");
  expect(await said(url, settings)).toBe(
    'the queue is full: the oldest input has waited for 120 s (MUSTER_QUEUE_MAX_AGE_SECONDS)',
  );
  await store(9, "repeat('x', 50000)");
  expect(await said(url, settings)).toMatch(
    /^the queue is full: the inputs that wait hold 409600 bytes/,
  );
  await store(100, "''");
  expect(await said(url, settings)).toBe(
    'the queue is full: 100 inputs wait (MUSTER_QUEUE_MAX_ROWS)',
  );
});
