/** A writer whose connection is forgotten on the way, while the database answers everybody else. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import type { Session } from '../../src/db/session.ts';
import { whileHeard } from '../../src/leader/lost-answers.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { startProxy, type DatabaseProxy } from '../faults/suite/wire/proxy.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';

let proxy: DatabaseProxy;
let writer: Session;
let pool: Pool;
beforeEach(async () => {
  const { url } = await createTestDatabase();
  const { port } = new URL(url);
  proxy = await startProxy(Number(port));
  const through = url.replace(`:${port}/`, `:${String(proxy.port)}/`);
  writer = await openWriter({ url: through, schema: 'muster', name: 'forgotten' });
  pool = createPool(
    { url, schema: 'muster', name: 'beside' },
    { role: 'test', max: 2, statementMs: 5_000 },
  );
});
afterEach(async () => {
  await writer.end();
  await pool.end();
  await proxy.close();
});

const heard = (work: Promise<unknown>) =>
  whileHeard(work, { writer, pool, logger: silentLogger() });

it('is not waited for until the deadline of a long commit', async () => {
  for (const session of proxy.sessions) session.hold();
  const began = performance.now();
  await expect(heard(writer.run((sql) => sql`SELECT`, 60_000))).rejects.toThrow('session');
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(writer.open).toBe(false);
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
});
