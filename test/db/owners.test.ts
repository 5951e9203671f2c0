/** What an administrator left behind in a schema that somebody else owns: found, and handed over by whoever may. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterEach, describe, expect, it } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { migrate as migrateSchema } from '../../src/db/migrate.ts';
import { packagedMigrations, type Migration } from '../../src/db/migration-files.ts';
import { run } from '../cli/support.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase } from '../support/roles.ts';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Schema {
  readonly admin: string;
  /** URL of a login that may migrate. */
  readonly login: string;
  /** Role that all belongs to. */
  readonly owner: string;
  readonly sql: postgres.Sql;
}

async function withRoles(): Promise<Schema> {
  const database = await createRoleDatabase();
  undo.push(() => database.drop());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  undo.push(() => sql.end());
  const owner = `${database.prefix}_owner`;
  return { admin: database.url, login: database.as('owner'), owner, sql };
}

async function ofOneLogin(): Promise<Schema> {
  const { url, name } = await createTestDatabase({ empty: true });
  const owner = `t_${randomBytes(5).toString('hex')}`;
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  undo.push(async () => {
    await sql.unsafe(`DROP OWNED BY ${owner} CASCADE; DROP ROLE ${owner}`);
    await sql.end();
  });
  await sql.unsafe(`CREATE ROLE ${owner} LOGIN PASSWORD 'secret'`);
  await sql.unsafe(`GRANT CREATE ON DATABASE ${name} TO ${owner}`);
  const own = Object.assign(new URL(url), { username: owner, password: 'secret' });
  await migrateSchema({ url: own.href, schema: 'muster', name: 'test' });
  return { admin: url, login: own.href, owner, sql };
}

const of = (url: string, ...more: string[]) => run(migrate, '--database-url', url, ...more);

/** What belongs to others than `owner`. */
async function strange({ sql, owner }: Schema): Promise<unknown[]> {
  const rows = await sql`
    SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname IN ('muster', 'muster_v1') AND relowner <> ${owner}::regrole
    UNION ALL SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
      WHERE nspname IN ('muster', 'muster_v1') AND proowner <> ${owner}::regrole`;
  return rows.map(({ name }) => name as unknown);
}

/** As a build left it that ran migrations as an administrator. */
async function harm({ sql }: Schema): Promise<void> {
  await sql.unsafe(`ALTER TABLE muster.operator_token OWNER TO CURRENT_USER;
    ALTER SEQUENCE muster.input_queue_ids OWNER TO CURRENT_USER;
    ALTER FUNCTION muster.input_queue_rotate OWNER TO CURRENT_USER;
    ALTER VIEW muster_v1.hosts OWNER TO CURRENT_USER;
    ALTER SCHEMA muster_v1 OWNER TO CURRENT_USER`);
}

describe.each([
  ['with roles', withRoles],
  ['of one login', ofOneLogin],
])('a schema %s', (_, make) => {
  it('gets what is new from an administrator who does not come to the end', async () => {
    const schema = await make();
    const later = (version: number, sql: string): Migration => ({
      ...{ version, name: `${String(version)}_later.sql`, sql, checksum: 'x', oldestCode: 0 },
    });
    const migrations = [
      ...packagedMigrations(),
      later(9998, 'CREATE TABLE brought (x int)'),
      later(9999, 'SELECT 1 / 0'),
    ];
    const database = { url: schema.admin, schema: 'muster', name: 'test' };
    await expect(migrateSchema(database, { migrations })).rejects.toThrow('division by zero');
    expect(await schema.sql`SELECT to_regclass('muster.brought')::text AS at`).toEqual([
      { at: 'muster.brought' },
    ]);
    expect(await strange(schema)).toEqual([]);
  });

  it('says what others hold and who mends it, and is mended', async () => {
    const schema = await make();
    await harm(schema);
    const { username } = new URL(schema.admin);
    const who = `run "muster migrate" as a superuser, or as a login in each of ${username}, ${schema.owner}`;
    const lost = `ALTER TABLE operator_token OWNER TO ${schema.owner}`;
    for (const flags of [['--check'], []]) {
      const said = await of(schema.login, ...flags);
      expect([said.code, said.stdout + said.stderr]).toEqual([1, expect.stringContaining(who)]);
    }
    const { json } = await of(schema.login, '--check', '--json');
    expect(json).toMatchObject({ ok: false, grants: expect.arrayContaining([lost]) as unknown });
    const mended = await of(schema.admin);
    expect([mended.code, mended.stdout]).toEqual([0, expect.stringContaining('handed over what')]);
    expect(await strange(schema)).toEqual([]);
    for (const url of [schema.login, schema.admin]) {
      expect((await of(url, '--check')).code).toBe(0);
      expect((await of(url)).stdout).toContain('nothing to do');
    }
  });

  it.skipIf(spawnSync('psql', ['--version']).status !== 0)('is mended by a plan, too', async () => {
    const schema = await make();
    await harm(schema);
    const { stdout: input } = await of(schema.admin, '--plan');
    expect(input).toContain(`ALTER VIEW muster_v1.hosts OWNER TO ${schema.owner};`);
    const psql = ['--no-psqlrc', '--quiet', '--file', '-', schema.admin];
    execFileSync('psql', psql, { input, stdio: ['pipe', 'ignore', 'pipe'] });
    expect(await strange(schema)).toEqual([]);
    expect((await of(schema.login, '--check')).code).toBe(0);
    expect((await of(schema.admin, '--plan')).stdout).toBe('-- schema muster: nothing to do\n');
  });
});

it('a schema that is there and hidden is not told to be missing', async () => {
  const { admin, sql } = await withRoles();
  const schema = await ofOneLogin();
  const stranger = Object.assign(new URL(admin), { username: schema.owner, password: 'secret' });
  const said = await of(stranger.href, '--roles');
  expect([said.code, said.stderr]).toEqual([
    1,
    expect.stringMatching(/schema muster is there, and login t_\w+ may not use it: migrate as/),
  ]);
  await sql.unsafe('GRANT USAGE ON SCHEMA muster TO PUBLIC');
  expect((await of(stranger.href)).stderr).toMatch(/42501: .*: migrate as a login that owns/);
});
