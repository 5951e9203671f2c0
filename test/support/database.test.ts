import postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import { createTestDatabase } from './database.ts';

const [one, two] = [await createTestDatabase(), await createTestDatabase({ empty: true })];
const first = postgres(one.url, { max: 1 });
const second = postgres(two.url, { max: 1 });
afterAll(() => Promise.all([first.end(), second.end()]));

test('a database is migrated unless it is asked to be empty', async () => {
  const schemas = (sql: postgres.Sql) =>
    sql`select nspname from pg_namespace where nspname = ${one.schema}`;
  expect(await schemas(first)).toHaveLength(1);
  expect(await schemas(second)).toHaveLength(0);
});

test('each database is its own', async () => {
  await first`create table only_here (x int)`;
  await expect(first`select * from only_here`).resolves.toEqual([]);
  await expect(second`select * from only_here`).rejects.toThrow('does not exist');
});
