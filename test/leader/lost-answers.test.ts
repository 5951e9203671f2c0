/** A writer whose connection is forgotten on the way, while the database answers everybody else. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import postgres from 'postgres';
import type { Sql } from '../../src/db/driver.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import type { Session } from '../../src/db/session.ts';
import { Patience, whileHeard } from '../../src/leader/lost-answers.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { startProxy, type DatabaseProxy } from '../faults/suite/wire/proxy.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';
import { slowLink } from '../support/slow-link.ts';

const undo: (() => unknown)[] = [];
let proxy: DatabaseProxy;
let writer: Session;
let pool: Pool;
let patience: Patience;

/** The writer through the proxy, and the pool beside it. */
async function connect(url: string): Promise<void> {
  const { port } = new URL(url);
  const through = url.replace(`:${port}/`, `:${String(proxy.port)}/`);
  writer = await openWriter({ url: through, schema: 'muster', name: 'forgotten' });
  const beside = { url, schema: 'muster', name: 'beside' };
  pool = createPool(beside, { role: 'test', max: 2, statementMs: 5_000 });
  undo.push(
    () => writer.end(),
    () => pool.end(),
  );
}

let database: Awaited<ReturnType<typeof createTestDatabase>>;
beforeEach(async () => {
  patience = new Patience();
  database = await createTestDatabase();
  proxy = await startProxy(Number(new URL(database.url).port));
  undo.push(() => proxy.close());
  await connect(database.url);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const heard = (work: Promise<unknown>) =>
  whileHeard(work, { writer, pool, patience, logger: silentLogger() });

it('is not waited for until the deadline of a long commit', async () => {
  for (const session of proxy.sessions) session.hold();
  const began = performance.now();
  await expect(heard(writer.run((sql) => sql`SELECT`, 60_000))).rejects.toThrow('session');
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(writer.open).toBe(false);
});

it('is waited for twice as long after each that was waited for in vain, and less again after answers', async () => {
  for (const session of proxy.sessions) session.hold();
  await expect(heard(writer.run((sql) => sql`SELECT`, 60_000))).rejects.toThrow('session');
  expect(patience.ms).toBe(4_000);
  for (let times = 0; times < 10; times += 1) patience.lost();
  expect(patience.ms).toBe(30_000);
  patience.heard(16_000);
  expect(patience.ms).toBe(30_000);
  for (let answers = 0; answers < 10; answers += 1) patience.heard(6_000);
  expect(Math.round(patience.ms)).toBe(12_000);
  for (let answers = 0; answers < 20; answers += 1) patience.heard(5);
  expect(patience.ms).toBe(2_000);
});

it('nor where a setting makes the login another role, which may not see its sessions', async () => {
  const [login, group] = [`${database.name}_login`, `${database.name}_group`];
  const dba = postgres(database.url, { max: 1 });
  await dba.unsafe(`CREATE ROLE ${group}; GRANT USAGE ON SCHEMA muster TO ${group};
    CREATE ROLE ${login} LOGIN PASSWORD 'x' IN ROLE ${group}; ALTER ROLE ${login} SET role = '${group}'`);
  undo.push(async () => {
    await dba.unsafe(`DROP OWNED BY ${group}; DROP ROLE ${login}; DROP ROLE ${group}`);
    await dba.end();
  });
  await connect(Object.assign(new URL(database.url), { username: login, password: 'x' }).href);
  for (const session of proxy.sessions) session.hold();
  const began = performance.now();
  await expect(heard(writer.run((sql) => sql`SELECT`, 60_000))).rejects.toThrow('session');
  expect(performance.now() - began).toBeLessThan(10_000);
});

it('is waited for while what it was sent is on a slow way', async () => {
  const link = await slowLink(database.url, 8);
  undo.push(() => link.end());
  const far = await openWriter({ url: link.url, schema: 'muster', name: 'far' });
  undo.push(() => far.end());
  const beside = { writer: far, pool, patience, logger: silentLogger() };
  const send = (bytes: number) =>
    far.run((sql) => sql`SELECT length(${'x'.repeat(bytes)}) AS n`.execute(), 60_000);
  // From now on all of it is sent at once.
  await send(1);
  const bytes = 5_000_000;
  expect(await whileHeard(send(bytes), beside)).toEqual([{ n: bytes }]);
});

it('is waited for while it works, and while it waits for a lock', async () => {
  await heard(writer.run((sql) => sql`SELECT pg_sleep(4.5)`, 60_000));
  const locked = pool.run(
    (sql) => sql`DO $$ BEGIN LOCK TABLE muster.epoch; PERFORM pg_sleep(4.5); END $$`,
  );
  const holders = (sql: Sql) => sql`
    SELECT FROM pg_locks WHERE relation = 'muster.epoch'::regclass AND mode = 'AccessExclusiveLock'`;
  await eventually(() => pool.run(holders)).toHaveLength(1);
  await heard(writer.run((sql) => sql`SELECT FROM epoch`, 60_000));
  await locked;
  expect(writer.open).toBe(true);
  // How long it worked or waited says nothing of the way to it.
  expect(patience.ms).toBe(2_000);
});
