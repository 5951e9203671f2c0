/** Every commit waits for a synchronous standby that is not there: each process says so, and none fills the server. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { endAbandoned } from '../../src/db/abandoned.ts';
import { databaseProblem, databaseTrouble, NotConfirmedError } from '../../src/db/errors.ts';
import { startListener } from '../../src/db/listen.ts';
import { acquireLock } from '../../src/db/lock.ts';
import { createPool } from '../../src/db/pool.ts';
import { systemClock } from '../../src/telemetry.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger, startReplica } from '../support/installation.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { heartbeat } from '../support/small-fleet.ts';
import { BenchDatabase } from './suite/bench/database.ts';

const undo: (() => unknown)[] = [];
let database: BenchDatabase;

beforeEach(async () => {
  database = await BenchDatabase.start(path.join(makeScratchDir('standby-away'), 'pg'));
  undo.push(() => database.close());
  await database.migrate();
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Resolves when it holds for commits, which ask the checkpointer and not their own settings. */
async function standbys(names: string): Promise<void> {
  await database.sql.unsafe(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await database.sql`SELECT pg_reload_conf()`;
  const tries = postgres(database.url.href, { max: 1, onnotice: () => undefined });
  const hangs = names !== '';
  await eventually(async () => {
    const tried = tries`SELECT pg_logical_emit_message(true, 'test', ''), pg_notify('any', '')`;
    const ended = tried.then(() => false);
    return Promise.race([ended, delay(200, true)]);
  }).toBe(hangs);
  if (hangs) undo.push(() => tries.end({ timeout: 1 }));
  else await tries.end();
}

const options = () => ({ url: database.url.href, schema: 'muster', name: 'a' });

/** Backends of that role whose commits hang. */
async function hung(role: string): Promise<readonly number[]> {
  const rows = await database.sql<{ pid: number }[]>`SELECT pid FROM pg_stat_activity
    WHERE application_name = ${`a:${role}`} AND wait_event = 'SyncRep'`;
  return rows.map(({ pid }) => pid);
}

/** Server sessions of that role. */
async function sessions(role: string): Promise<number> {
  const { sql } = database;
  const rows = await sql`SELECT FROM pg_stat_activity WHERE application_name = ${`a:${role}`}`;
  return rows.length;
}

it('a replica says so until the standby is back, though everything can be read', async () => {
  const replica = startReplica(database.url.href, 'a');
  undo.push(() => replica.stop());
  const { submitter } = replica;
  const send = () => submitter.submit(heartbeat('h1'), { waitMs: 0 });
  expect(await submitter.obstacle()).toBeNull();
  await standbys('away');
  expect(await send()).toMatchObject({ why: 'database-away' });
  // What could be read since says nothing of commits.
  await eventually(() => submitter.obstacle()).toEqual({ why: 'hangs' });
  // And goes on to: that there was no answer once more is no news.
  expect(await send()).toMatchObject({ why: 'database-away' });
  expect(await submitter.obstacle()).toEqual({ why: 'hangs' });
  expect(replica.log.join('\n')).toMatch(/inputs cannot be stored.*synchronous_standby_names/);
  await standbys('');
  await eventually(() => submitter.obstacle()).toBeNull();
  expect(await send()).toEqual({ status: 'queued' });
});

it('so does one that stores nothing', async () => {
  const replica = startReplica(database.url.href, 'a');
  undo.push(() => replica.stop());
  await standbys('away');
  expect(await replica.submitter.obstacle()).toEqual({ why: 'hangs' });
});

it('each attempt leaves no session behind', async () => {
  const pool = createPool(options(), { role: 'tries', max: 1, statementMs: 100 });
  undo.push(() => pool.end());
  await pool.run((sql) => sql`CREATE TABLE tried (attempt int)`);
  await standbys('away');
  for (const attempt of [1, 2, 3]) {
    const tried = pool.run((sql) => sql`INSERT INTO tried VALUES (${attempt})`);
    await expect(tried).rejects.toThrow('no answer from the database');
  }
  await eventually(() => sessions('tries')).toBeLessThan(2);
});

it('nor many where the server cannot end them, as it cannot what waits for a disk', async () => {
  const pool = createPool(options(), { role: 'tries', max: 1, statementMs: 100 });
  undo.push(() => pool.end());
  await pool.run((sql) => sql`CREATE TABLE tried (attempt int)`);
  await standbys('away');
  const stopped = new Set<number>();
  const stopAll = async () => {
    for (const pid of await hung('tries')) {
      process.kill(pid, 'SIGSTOP');
      stopped.add(pid);
    }
  };
  undo.push(() => {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    stopped.clear();
  });
  let refused: unknown;
  for (let attempt = 0; attempt < 8 && refused === undefined; attempt += 1) {
    const tried = pool.run((sql) => sql`INSERT INTO tried VALUES (${attempt})`).catch(String);
    await eventually(async () => {
      await stopAll();
      return Promise.race([tried, delay(50, null)]);
    }).not.toBeNull();
    const said = await tried;
    if (typeof said === 'string' && said.includes('nothing more is sent')) refused = said;
  }
  expect(refused).toBeDefined();
  expect(stopped.size).toBeLessThan(7);
  await standbys('');
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  stopped.clear();
  await eventually(() => pool.run((sql) => sql`SELECT 1 AS one`).catch(String)).toEqual([
    { one: 1 },
  ]);
}, 60_000);

it('what a process left that is gone is ended by the others, but for a commit of a leader', async () => {
  const pool = createPool(options(), { role: 'tries', max: 1, statementMs: 1_000 });
  undo.push(() => pool.end());
  const roles = ['enqueue', 'writer'];
  const gone = roles.map((role) => {
    const own = { application_name: `muster-gone:${role}` };
    return postgres(database.url.href, { max: 1, connection: own, onnotice: () => undefined });
  });
  await Promise.all(gone.map((sql) => sql`SELECT 1`));
  await standbys('away');
  for (const sql of gone) {
    undo.push(() => sql.end({ timeout: 0 }));
    sql`SELECT pg_logical_emit_message(true, 'test', '')`.catch(() => undefined);
  }
  const names = async () =>
    (
      await database.sql`SELECT application_name AS name FROM pg_stat_activity
      WHERE application_name LIKE 'muster-gone%' AND wait_event = 'SyncRep' ORDER BY 1`
    ).map(({ name }) => name as string);
  await eventually(names).toEqual(['muster-gone:enqueue', 'muster-gone:writer']);
  expect(await pool.run((sql) => endAbandoned(sql, 1_000, 60_000))).toEqual({
    all: 0,
    namesakes: 0,
  });
  expect(await names()).toHaveLength(2);
  await pool.run((sql) => endAbandoned(sql, 1_000, 0));
  await eventually(names).toEqual(['muster-gone:writer']);
});

it('nor does whoever only wakes others, behind a commit that hangs', async () => {
  const asked = { logger: silentLogger(), random: () => 0 };
  const listener = startListener(options(), asked);
  const given = { ...asked, database: options(), name: 'leader', listener } as const;
  const lock = await acquireLock({ ...given, clock: systemClock }, new AbortController().signal);
  await standbys('away');
  const heard: boolean[] = [];
  const late = startListener(options(), { ...asked, onHearing: (hears) => heard.push(hears) });
  await eventually(() => heard.at(-1)).toBe(true);
  await Promise.all([lock.release(), listener.stop(), late.stop()]);
  await eventually(async () => [await sessions('leader-lock'), await sessions('listen')]).toEqual([
    0, 0,
  ]);
});

it('nobody is told to end a commit that waits for it', async () => {
  const replica = startReplica(database.url.href, 'muster-a');
  undo.push(() => replica.stop());
  await replica.lead();
  await standbys('away');
  const { sql } = database;
  await sql`SET synchronous_commit = off`;
  await sql`INSERT INTO input_queue (kind, hostname, payload) VALUES ('Tick', NULL, '{"kind":"Tick"}')`;
  await eventually(() => replica.log.join('\n'), { timeout: 40_000 }).toMatch(
    /nobody can lead until this commit ends: leave it/,
  );
  expect(replica.log.join('\n')).not.toContain('pg_terminate_backend');
}, 60_000);

it('an error tells what to do', () => {
  const error = new NotConfirmedError();
  expect(databaseProblem(error)).toMatch(/standby was cancelled: bring the standby back/);
  expect(databaseTrouble(error)).toMatch(
    /^the synchronous standby does not confirm .*: bring the standby back/,
  );
});
