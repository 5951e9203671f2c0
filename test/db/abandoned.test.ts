/** Ending what nobody waits for any more, by whatever login. */
import { afterEach, expect, it } from 'vitest';
import postgres from 'postgres';
import { endAbandoned } from '../../src/db/abandoned.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

it('ends its own where a setting makes the login another role', async () => {
  const { url, name } = await createTestDatabase();
  const dba = postgres(url, { max: 1 });
  const [login, group] = [`${name}_login`, `${name}_group`];
  await dba.unsafe(`
    CREATE ROLE ${group};
    CREATE ROLE ${login} LOGIN PASSWORD 'x' IN ROLE ${group};
    ALTER ROLE ${login} SET role = '${group}'`);
  undo.push(async () => {
    await dba.unsafe(`DROP ROLE ${login}; DROP ROLE ${group}`);
    await dba.end();
  });
  const own = Object.assign(new URL(url), { username: login, password: 'x' });
  const open = (): Pool => {
    const database = { url: own.href, schema: 'public', name: 'muster-a' };
    const pool = createPool(database, { role: 'api', max: 1, statementMs: 60_000 });
    undo.push(() => pool.end());
    return pool;
  };
  const [hangs, other] = [open(), open()];
  expect([...(await other.run((sql) => sql`SELECT current_user AS is`))]).toEqual([{ is: group }]);
  const hung = expect(hangs.run((sql) => sql`SELECT pg_sleep(60)`)).rejects.toThrow();
  await eventually(() => other.run((sql) => endAbandoned(sql, 50))).toEqual({
    all: 1,
    namesakes: 1,
  });
  await hung;
  expect([...(await other.run((sql) => sql`SELECT current_user AS is`))]).toEqual([{ is: group }]);
});
