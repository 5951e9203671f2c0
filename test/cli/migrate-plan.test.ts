/** What `muster migrate --plan` prints is for a person at psql: run as it stands, it leaves what `muster migrate` would. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { migrate as migrateSchema } from '../../src/db/migrate.ts';
import { dumpSchema } from '../../src/db/catalog.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { run } from './support.ts';

const DUMP = path.resolve('test/schema.sql');
const HAS_PSQL = spawnSync('psql', ['--version']).status === 0;
if (!HAS_PSQL) console.log('no psql here: printed plans are run by the driver, without \\set');

/** As an administrator does; rejects when a statement failed. */
async function runScript(url: string, script: string): Promise<void> {
  if (HAS_PSQL) {
    const psql = ['--no-psqlrc', '--quiet', '--file', '-', url];
    execFileSync('psql', psql, { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
    return;
  }
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(script.replaceAll(/^\\set .*$/gm, '')).finally(() => sql.end());
}

async function planOf(url: string, schema: string, ...more: string[]): Promise<string> {
  const plan = await run(migrate, '--database-url', url, '--schema', schema, '--plan', ...more);
  expect(plan.code).toBe(0);
  return plan.stdout;
}

it('makes an empty database what migrate makes it, in the schema of the installation', async () => {
  const { url } = await createTestDatabase({ empty: true });
  await runScript(url, await planOf(url, 'fleet_b'));
  const check = await run(migrate, '--database-url', url, '--schema', 'fleet_b', '--check');
  expect([check.code, check.stdout]).toEqual([0, expect.stringContaining('has what this Muster')]);
  const database = { url, schema: 'fleet_b', name: 'test' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 10_000 });
  const dump = await pool.run((sql) => dumpSchema(sql, 'fleet_b')).finally(() => pool.end());
  expect(dump).toBe(readFileSync(DUMP, 'utf8'));
});

/** Tables come with those behind it. */
const BEHIND = 13;

it('gives what is new to whom the rest belongs, whoever runs it', async () => {
  const { url, name } = await createTestDatabase({ empty: true });
  const login = `t_${randomBytes(5).toString('hex')}`;
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`CREATE ROLE ${login} LOGIN PASSWORD 'secret'`);
  await sql.unsafe(`GRANT CREATE ON DATABASE ${name} TO ${login}`);
  const own = new URL(url);
  Object.assign(own, { username: login, password: 'secret' });
  const migrations = packagedMigrations().filter(({ version }) => version <= BEHIND);
  await migrateSchema({ url: own.href, schema: 'muster', name: 'test' }, { migrations });
  await runScript(url, await planOf(url, 'muster'));
  const owners = await sql`
    SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'muster'`;
  expect([...owners]).toEqual([{ tableowner: login }]);
  const after = await run(migrate, '--database-url', own.href);
  expect(after.stdout).toContain('nothing to do');
  await sql.unsafe(`DROP OWNED BY ${login} CASCADE; DROP ROLE ${login}`);
  await sql.end();
});

it.skipIf(!HAS_PSQL)('stops in psql at what fails, and leaves no gap behind it', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const [, second] = packagedMigrations();
  const script = await planOf(url, 'muster');
  const broken = script.replace(`-- ${second?.name ?? ''}\nBEGIN;`, '$&\nSELECT 1/0;');
  await expect(runScript(url, broken)).rejects.toThrow('division by zero');
  const applied = await sql`SELECT version FROM muster.schema_migration`;
  expect([...applied]).toEqual([{ version: 1 }]);
  await runScript(url, await planOf(url, 'muster'));
  expect((await run(migrate, '--database-url', url, '--check')).code).toBe(0);
  await sql.end();
});

describe('with roles, on a schema that a newer Muster brought forward', () => {
  it('leaves owners and grants alone, and says what was taken from them', async () => {
    const database = await createRoleDatabase();
    const { url, prefix } = database;
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    const owner = ['--database-url', database.as('owner')];
    const former = await planOf(url, 'muster', '--role-prefix', 't_other');
    await sql.unsafe(`GRANT UPDATE ON muster.presence TO ${prefix}_leader;
      INSERT INTO muster.schema_migration VALUES (9998, '9998_later.sql', 'x')`);
    const mayStill = async (right: string, table: string): Promise<unknown> => {
      const [row] = await sql`
        SELECT has_table_privilege(${`${prefix}_leader`}, ${`muster.${table}`}, ${right}) AS may`;
      return row?.['may'];
    };
    const left = 'owners and grants are left to the version that brought 9998_later.sql';
    const done = await run(migrate, ...owner);
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining(left)]);
    expect((await run(migrate, ...owner, '--json')).json).toMatchObject({
      ok: true,
      roles: null,
      leftTo: ['9998_later.sql'],
    });
    expect(await mayStill('UPDATE', 'presence')).toBe(true);
    expect(await planOf(url, 'muster')).toBe(`-- ${left}\n-- schema muster: nothing to do\n`);
    // Roles that are not in use yet are the newer version's to make, and a plan from before is not run any more.
    const asked = await run(migrate, ...owner, '--role-prefix', 't_other');
    expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining('does not know')]);
    await expect(runScript(url, former)).rejects.toThrow('the schema is newer than');
    expect((await run(migrate, ...owner, '--check')).code).toBe(0);
    await sql.unsafe(`REVOKE SELECT ON muster.operator_token FROM ${prefix}_leader`);
    const check = await run(migrate, ...owner, '--check');
    const lost = `GRANT SELECT ON operator_token TO ${prefix}_leader`;
    expect([check.code, check.stdout]).toEqual([1, expect.stringContaining(lost)]);
    expect(check.stdout).toContain('run "muster migrate" of the version that brought 9998_later');
    await sql.end();
    await database.drop();
  });
});

describe('with roles', () => {
  it('is not content with grants that an older Muster took away, and gives them back', async () => {
    const database = await createRoleDatabase();
    const { prefix } = database;
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    await sql.unsafe(`REVOKE ALL ON muster.operator_token FROM ${prefix}_leader`);
    // Whoever may read which migrations there are may ask.
    for (const role of ['owner', 'api', 'readonly'] as const) {
      const on = ['--database-url', database.as(role), '--check'];
      const check = await run(migrate, ...on);
      const lost = `GRANT SELECT ON operator_token TO ${prefix}_leader`;
      expect([check.code, check.stdout]).toEqual([1, expect.stringContaining(lost)]);
      expect(check.stdout).toContain('run "muster migrate"\n');
      const { json } = await run(migrate, ...on, '--json');
      expect(json).toMatchObject({ ok: false, grants: expect.arrayContaining([lost]) as unknown });
    }
    expect((await run(migrate, '--database-url', database.as('owner'))).code).toBe(0);
    expect((await run(migrate, '--database-url', database.as('api'), '--check')).code).toBe(0);
    await sql.end();
    await database.drop();
  });

  it('has the grants that differ, and is empty where none does', async () => {
    const database = await createRoleDatabase();
    const { url, prefix } = database;
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    expect(await planOf(url, 'muster')).toBe('-- schema muster: nothing to do\n');
    await sql.unsafe(`GRANT SELECT ON muster.operator_secret TO ${prefix}_readonly;
      GRANT UPDATE (payload) ON muster.input_queue TO ${prefix}_api;
      REVOKE SELECT ON muster_v1.hosts FROM ${prefix}_readonly;
      GRANT EXECUTE ON FUNCTION muster.fence TO PUBLIC;
      REVOKE USAGE ON SCHEMA muster_v1 FROM ${prefix}_api;
      CREATE TABLE muster.event_log_detached_p000007 (LIKE muster.event_log)`);
    const plan = await planOf(database.as('owner'), 'muster');
    for (const text of [
      `REVOKE SELECT ON operator_secret FROM ${prefix}_readonly`,
      `REVOKE UPDATE (payload) ON input_queue FROM ${prefix}_api`,
      `GRANT SELECT ON muster_v1.hosts TO ${prefix}_readonly`,
      'REVOKE EXECUTE ON FUNCTION fence(bigint) FROM PUBLIC',
      `GRANT USAGE ON SCHEMA muster_v1 TO ${prefix}_api`,
      `ALTER TABLE event_log_detached_p000007 OWNER TO ${prefix}_owner`,
    ])
      expect(plan).toContain(`--   ${text}\n`);
    await runScript(url, plan);
    // The table was not detached by us, and has not what keeps rows from being changed: no migration gives it that.
    expect(await planOf(url, 'muster')).toMatch(
      /^-- the event log can be changed: .*event_log_detached_p000007.*\n-- schema muster: nothing to migrate\n$/,
    );
    await sql.end();
    await database.drop();
  });

  it.each(['api', 'leader', 'readonly'] as const)(
    'grants nothing to a login of the %s: it says as whom to ask',
    async (role) => {
      const database = await createRoleDatabase();
      const refused = [
        2,
        '',
        expect.stringMatching(/gets no grant of t_\w+_owner: ask as the login that migrates/),
      ];
      const asked = async (...more: string[]): Promise<unknown[]> => {
        const { code, stdout, stderr } = await run(
          migrate,
          '--database-url',
          database.as(role),
          '--plan',
          ...more,
        );
        return [code, stdout, stderr];
      };
      expect(await asked()).toEqual(refused);
      // Nor where roles are only to be made, or for a schema that is not there yet.
      expect(await asked('--role-prefix', 't_other')).toEqual(refused);
      const beside = ['--schema', 'beside', '--role-prefix', database.prefix];
      expect(await asked(...beside)).toEqual(refused);
      await database.drop();
    },
  );

  it('makes them on an empty database, for the login that asked', async () => {
    const { url, name } = await createTestDatabase({ empty: true });
    const prefix = `t_${randomBytes(5).toString('hex')}`;
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    await sql.unsafe(`CREATE ROLE ${prefix} LOGIN PASSWORD 'secret'`);
    await sql.unsafe(`GRANT CREATE ON DATABASE ${name} TO ${prefix}`);
    const own = Object.assign(new URL(url), { username: prefix, password: 'secret' }).href;
    const plan = await planOf(own, 'muster', '--role-prefix', prefix);
    expect(plan).toContain('CREATE SCHEMA');
    expect(plan).toContain(`CREATE ROLE ${prefix}_api NOLOGIN`);
    await runScript(url, plan);
    expect(await planOf(own, 'muster')).toBe('-- schema muster: nothing to do\n');
    const after = await run(migrate, '--database-url', own);
    expect([after.code, after.stdout]).toEqual([0, expect.stringContaining(`${prefix}_readonly`)]);
    for (const role of ['_owner', '_api', '_leader', '_readonly', ''])
      await sql.unsafe(`DROP OWNED BY ${prefix}${role} CASCADE; DROP ROLE ${prefix}${role}`);
    await sql.end();
  });

  it('leaves what somebody else put into the schema, and says so', async () => {
    const database = await createRoleDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    await sql.unsafe(`CREATE TABLE muster.dba_report (x int);
      CREATE MATERIALIZED VIEW muster_v1.dba_sums AS SELECT 1 AS one;
      GRANT SELECT ON muster.dba_report TO PUBLIC;
      GRANT DELETE ON muster.host TO ${database.prefix}_api`);
    const owner = ['--database-url', database.as('owner')];
    const left = 'left as it is: materialized view muster_v1.dba_sums, table dba_report';
    expect((await run(migrate, ...owner, '--plan')).stdout).toContain(left);
    const done = await run(migrate, ...owner);
    expect([done.code, done.stdout, done.stderr]).toEqual([0, expect.stringContaining(left), '']);
    expect((await run(migrate, ...owner, '--json')).json).toMatchObject({
      strangers: ['materialized view muster_v1.dba_sums', 'table dba_report'],
    });
    const [row] = await sql`SELECT relacl::text AS acl FROM pg_class WHERE relname = 'dba_report'`;
    expect(row?.['acl']).toMatch(/[{,]=r\//);
    await sql.unsafe('DROP TABLE muster.dba_report; DROP MATERIALIZED VIEW muster_v1.dba_sums');
    await sql.end();
    await database.drop();
  });
});
