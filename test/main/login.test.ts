/** Why a login will not do, in words that name what mends it. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { leaderLoginProblem } from '../../src/main/login.ts';
import { createRoleDatabase } from '../support/roles.ts';

it('a schema that was made anew without roles hides itself from the leader, whose login has its role', async () => {
  const database = await createRoleDatabase();
  const leaderDatabase = { url: database.as('leader'), schema: 'muster', name: 'test' };
  const pool = createPool(leaderDatabase, { role: 'test', max: 1, statementMs: 5_000 });
  const config = {
    ...{ strict: true, devIdentity: false, leaderDatabaseUrl: leaderDatabase.url },
    roles: ['leader' as const],
  };
  const ask = () => leaderLoginProblem({ config, pool, leaderDatabase });
  expect(await ask()).toBeNull();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`REVOKE USAGE ON SCHEMA muster FROM ${database.prefix}_leader`);
  expect(await ask()).toBe(
    'the login of MUSTER_LEADER_DATABASE_URL may not lead: it may not use the schema: run "muster migrate --roles" as the schema\'s login, or put this one into its role (docs/database-roles.md)',
  );
  // Anybody may ask /readyz: what the server says itself would name the login.
  await sql.unsafe(`ALTER ROLE ${database.prefix}_leader_1 PASSWORD 'another'`);
  expect(await ask()).toBe(
    'MUSTER_LEADER_DATABASE_URL serves no leader: the database refuses the login (28P01): check user and password in MUSTER_LEADER_DATABASE_URL, and pg_hba.conf',
  );
  await Promise.all([sql.end(), pool.end()]);
  await database.drop();
});
