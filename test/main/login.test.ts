/** Why a login will not do, in words that name what mends it. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { leadTrouble } from '../../src/main/login.ts';
import { createRoleDatabase } from '../support/roles.ts';

it('the leader is told what hides, refuses or stops it, by its own variable', async () => {
  const database = await createRoleDatabase();
  const leaderDatabase = { url: database.as('leader'), schema: 'muster', name: 'test' };
  const pool = createPool(leaderDatabase, { role: 'test', max: 1, statementMs: 5_000 });
  const config = {
    ...{ strict: true, devIdentity: false, leaderDatabaseUrl: leaderDatabase.url },
    roles: ['leader' as const],
  };
  const ask = async (url = leaderDatabase.url) => {
    const trouble = await leadTrouble({ config, pool, leaderDatabase: { ...leaderDatabase, url } });
    return trouble === null ? null : `${trouble.of}: ${trouble.why}`;
  };
  expect(await ask()).toBeNull();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`REVOKE USAGE ON SCHEMA muster FROM ${database.prefix}_leader`);
  expect(await ask()).toBe(
    'login: the login of MUSTER_LEADER_DATABASE_URL may not lead: it may not use the schema: run "muster migrate --roles" as the schema\'s login, or put this one into its role (docs/database-roles.md)',
  );
  await sql.unsafe(`GRANT USAGE ON SCHEMA muster TO ${database.prefix}_leader`);
  await sql.unsafe(
    'INSERT INTO muster.leader_progress (epoch, commit_no, head_seq, at) VALUES (1, 0, 7, now())',
  );
  expect(await ask()).toMatch(
    /^state: MUSTER_LEADER_DATABASE_URL serves no leader: the log ends at row 0, and rows up to 7 /,
  );
  await sql.unsafe('DELETE FROM muster.leader_progress');
  const nowhere = new URL(leaderDatabase.url);
  nowhere.pathname = '/no_such';
  expect(await ask(nowhere.href)).toBe(
    'database: MUSTER_LEADER_DATABASE_URL serves no leader: the database refuses the login (3D000): create the database, or correct its name in MUSTER_LEADER_DATABASE_URL',
  );
  nowhere.port = '1';
  expect(await ask(nowhere.href)).toMatch(/^silent: .*ECONNREFUSED/);
  const login = `${database.prefix}_leader_1`;
  await sql.unsafe(`ALTER ROLE ${login} SET default_transaction_read_only = on`);
  expect(await ask()).toMatch(
    /^state: MUSTER_LEADER_DATABASE_URL serves no leader: the database takes no writes \(25006\): /,
  );
  await sql.unsafe(`ALTER ROLE ${login} CONNECTION LIMIT 0`);
  expect(await ask()).toMatch(/^state: .* the database fails \(53300\): /);
  // Anybody may ask /readyz: what the server says itself would name the login.
  await sql.unsafe(`ALTER ROLE ${login} PASSWORD 'another'`);
  expect(await ask()).toBe(
    'login: MUSTER_LEADER_DATABASE_URL serves no leader: the database refuses the login (28P01): check user and password in MUSTER_LEADER_DATABASE_URL, and pg_hba.conf',
  );
  await Promise.all([sql.end(), pool.end()]);
  await database.drop();
});
