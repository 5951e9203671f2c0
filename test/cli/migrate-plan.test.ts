/** What `muster migrate --plan` prints is for a person at psql: run as it stands, it leaves what `muster migrate` would. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { migrate as migrateSchema } from '../../src/db/migrate.ts';
import { dumpSchema } from '../../src/db/catalog.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
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

async function planOf(url: string, schema: string): Promise<string> {
  const plan = await run(migrate, '--database-url', url, '--schema', schema, '--plan');
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
