/** A term's connections beside its writer, where the login may open fewer than it would. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import postgres from 'postgres';
import type { DatabaseOptions, Sql } from '../../src/db/driver.ts';
import type { Pool } from '../../src/db/pool.ts';
import { openBeside } from '../../src/leader/beside.ts';
import { eventually } from '../support/eventually.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';

const KEY = 42;

let roles: RoleDatabase;
let owner: postgres.Sql;
let database: DatabaseOptions;
let beside: Pool;

beforeEach(async () => {
  roles = await createRoleDatabase();
  owner = postgres(roles.url, { max: 1, onnotice: () => undefined });
  database = { url: roles.as('leader'), schema: 'muster', name: 'test' };
  beside = openBeside(database);
});
afterEach(async () => {
  await beside.end();
  await owner.end();
  await roles.drop();
});

const mayOpen = (connections: number) =>
  owner.unsafe(`ALTER ROLE ${roles.prefix}_leader_1 CONNECTION LIMIT ${String(connections)}`);

const pid = async (sql: Sql): Promise<number | undefined> => {
  const [row] = await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  return row?.pid;
};

/** Keeps a connection busy until the lock is released; `released` is its backend. One that gave up waiting waits again. */
async function keepBusy(): Promise<{ readonly released: Promise<number | undefined> }> {
  const wait = () =>
    beside.run(async (sql) => {
      await sql`SELECT pg_advisory_lock(${KEY}::int), pg_advisory_unlock(${KEY}::int)`;
      return pid(sql);
    });
  let hasGivenUp = false;
  const begin = () => {
    hasGivenUp = false;
    const released = wait();
    released.catch(() => {
      hasGivenUp = true;
    });
    return released;
  };
  let released = begin();
  await eventually(async () => {
    if (hasGivenUp) released = begin();
    const [row] = await owner<{ n: number }[]>`
      SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
    return row?.n;
  }).toBe(1);
  return { released };
}

it('are two, where there is room', async () => {
  await owner`SELECT pg_advisory_lock(${KEY}::int)`;
  const { released } = await keepBusy();
  const other = await beside.run(pid);
  await owner`SELECT pg_advisory_unlock(${KEY}::int)`;
  expect(other).not.toBe(await released);
});

it('are one, which does everything, where there is room for no other', async () => {
  await mayOpen(1);
  await owner`SELECT pg_advisory_lock(${KEY}::int)`;
  const { released } = await keepBusy();
  const waiting = [beside.run(pid), beside.run(pid)];
  const failed = Promise.all(waiting).catch((error: unknown) => error);
  await owner`SELECT pg_advisory_unlock(${KEY}::int)`;
  const only = await released;
  expect(await failed).toEqual([only, only]);
});

it('are two again when there is room again', async () => {
  await mayOpen(1);
  const first = await beside.run(pid);
  await mayOpen(2);
  await owner`SELECT pg_advisory_lock(${KEY}::int)`;
  const { released } = await keepBusy();
  expect(await beside.run(pid)).not.toBe(first);
  await owner`SELECT pg_advisory_unlock(${KEY}::int)`;
  await released;
});

it('are none, and say so, where there is room for none', async () => {
  await mayOpen(0);
  await expect(beside.run(pid)).rejects.toMatchObject({ code: '53300' });
});
