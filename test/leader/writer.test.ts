/** The writer that waits beside a follower: used if it lives and sees the lock, replaced if not. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { startListener, type Listener } from '../../src/db/listen.ts';
import { acquireLock, type HeldLock } from '../../src/db/lock.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { assertBeside, prepareWriter } from '../../src/leader/writer.ts';
import { systemClock } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';

let database: DatabaseOptions;
let listener: Listener;
let pool: Pool;
let lock: HeldLock;

beforeEach(async () => {
  database = { url: (await createTestDatabase()).url, schema: 'muster', name: 'w' };
  const common = { logger: silentLogger(), random: () => 0 };
  listener = startListener(database, common);
  pool = createPool(database, { role: 'test', max: 1, statementMs: 10_000 });
  const { signal } = new AbortController();
  lock = await acquireLock(
    { ...common, database, name: 'leader', listener, clock: systemClock },
    signal,
  );
});
afterEach(async () => {
  await lock.release();
  await listener.stop();
  await pool.end();
});

const writers = (): Promise<number[]> =>
  pool.run(async (sql) => {
    const rows = await sql<{ pid: number }[]>`SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'w:writer'`;
    return rows.map(({ pid }) => pid);
  });

it('is the session that was opened beforehand', async () => {
  const waiting = prepareWriter(database);
  await eventually(async () => (await writers()).length).toBe(1);
  const [opened] = await writers();
  const writer = await waiting.take(lock.pid);
  expect(writer.pid).toBe(opened);
  await writer.end();
});

it('is a new one when that has died', async () => {
  const waiting = prepareWriter(database);
  await eventually(async () => (await writers()).length).toBe(1);
  const [opened] = await writers();
  await pool.run((sql) => sql`SELECT pg_terminate_backend(${opened ?? 0})`);
  const writer = await waiting.take(lock.pid);
  expect(writer.open).toBe(true);
  expect(writer.pid).not.toBe(opened);
  await writer.end();
});

it('is none where the lock cannot be seen', async () => {
  const [other] = await pool.run((sql) => sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`);
  await expect(prepareWriter(database).take(other?.pid ?? 0)).rejects.toThrow('another server');
  await eventually(writers).toEqual([]);
});

it('claims beside the lock only', async () => {
  await assertBeside(pool, lock.pid);
  const [other] = await pool.run((sql) => sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`);
  await expect(assertBeside(pool, other?.pid ?? 0)).rejects.toThrow('another server');
});
