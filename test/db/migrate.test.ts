import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dumpSchema } from '../../src/db/catalog.ts';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { schemaStanding } from '../../src/db/standing.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';

const DUMP = fileURLToPath(new URL('../schema.sql', import.meta.url));

let database: DatabaseOptions;
let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase({ empty: true });
  database = { url, schema: 'muster', name: 'test' };
  pool = createPool(database, { role: 'test', max: 2, statementMs: 10_000 });
});
afterAll(() => pool.end());

describe('migrate', () => {
  it('applies every file exactly once when several start at once', async () => {
    const runs = await Promise.all([1, 2, 3, 4].map(() => migrate(database)));
    const names = packagedMigrations().map(({ name }) => name);
    expect(runs.flatMap(({ applied }) => applied)).toEqual(names);
    expect((await pool.run(schemaStanding)).version).toBe(packagedMigrations().at(-1)?.version);
  });

  it('keeps several installations apart in one database', async () => {
    const other = { ...database, schema: 'muster_two' };
    await migrate(other);
    const [row] = await pool.run(
      (sql) => sql<{ n: number }[]>`SELECT count(*)::int AS n FROM pg_class
        WHERE relname = 'event_log' AND relkind = 'p'`,
    );
    expect(row?.n).toBe(2);
  });

  it.each(['order', 'left', 'information_schema'])(
    'makes no installation of %s, and says what to change',
    async (schema) => {
      await expect(migrate({ ...database, schema })).rejects.toThrow('MUSTER_SCHEMA');
    },
  );

  it('refuses a file that was changed after it was applied', async () => {
    const migrations = packagedMigrations().map((one) => ({ ...one, checksum: 'edited' }));
    await expect(migrate(database, { migrations })).rejects.toThrow(
      'was changed after it was applied',
    );
  });

  it('leaves the schema of the committed dump (UPDATE_SCHEMA=1 rewrites it)', async () => {
    const text = await pool.run((sql) => dumpSchema(sql, 'muster'));
    if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(DUMP, text);
    expect(text).toBe(readFileSync(DUMP, 'utf8'));
  });

  it('says nothing of a schema that was never migrated', async () => {
    const nowhere = createPool(
      { ...database, schema: 'absent' },
      { role: 't', max: 1, statementMs: 5000 },
    );
    try {
      expect((await nowhere.run(schemaStanding)).version).toBeNull();
    } finally {
      await nowhere.end();
    }
  });
});

describe('event_log', () => {
  const insert = (seq: number): Promise<unknown> =>
    pool.run(
      (sql) => sql`INSERT INTO event_log (seq, ts, epoch, kind, payload, hash)
        VALUES (${seq}, now(), 1, 'leadership', '{"v":1}', sha256('x'))`,
    );

  it('cannot be updated, deleted or truncated, on the parent or a partition, by any trick', async () => {
    await insert(1);
    const attempts = ['event_log', 'event_log_p000000'].flatMap((table) => [
      `UPDATE ${table} SET epoch = 2`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
      `SET session_replication_role = replica; DELETE FROM ${table}`,
      `SET session_replication_role = replica; TRUNCATE ${table}`,
    ]);
    for (const attempt of attempts) {
      await expect(
        pool.run((sql) => sql.unsafe(attempt)),
        attempt,
      ).rejects.toThrow('append only');
    }
  });

  it('makes partitions ahead, once', async () => {
    const made = await Promise.all(
      [1, 2].map(() =>
        pool.run((sql) => sql<{ n: number }[]>`SELECT event_log_make_partitions(3500000) AS n`),
      ),
    );
    expect(made.map(([row]) => row?.n).sort()).toEqual([0, 2]);
    await insert(3_400_000);
  });
});

describe('migrate, where one login owns the schema', () => {
  const login = `plain_${randomBytes(5).toString('hex')}`;
  const former = packagedMigrations().slice(0, -1);
  let admin: DatabaseOptions;
  let owner: DatabaseOptions;

  const as = (user: string): DatabaseOptions => {
    const url = Object.assign(new URL(admin.url), { username: user, password: 'secret' });
    return { ...admin, url: url.href };
  };
  const ask = async (text: string): Promise<readonly { name: string }[]> => {
    const asking = createPool(admin, { role: 'test', max: 1, statementMs: 10_000 });
    try {
      return await asking.run((sql) => sql.unsafe<{ name: string }[]>(text));
    } finally {
      await asking.end();
    }
  };

  beforeAll(async () => {
    const { url, name } = await createTestDatabase({ empty: true });
    admin = { url, schema: 'muster', name: 'test' };
    owner = as(login);
    for (const user of [login, `${login}_2`])
      await ask(`CREATE ROLE ${user} LOGIN PASSWORD 'secret'`);
    await ask(`GRANT CREATE ON DATABASE "${name}" TO ${login}, ${login}_2`);
    await migrate(owner, { migrations: former });
    await ask(`GRANT ALL ON SCHEMA muster TO ${login}_2`);
    await ask(`GRANT SELECT ON muster.schema_migration TO ${login}_2`);
  });
  afterAll(async () => {
    for (const user of [login, `${login}_2`])
      await ask(`DROP OWNED BY ${user} CASCADE; DROP ROLE ${user}`);
  });

  it('makes nothing as a login to which the schema does not belong', async () => {
    await expect(migrate(as(`${login}_2`))).rejects.toThrow('must be owner of');
  });

  it('gives that login what an administrator brings', async () => {
    expect((await migrate(admin)).applied).toEqual([packagedMigrations().at(-1)?.name]);
    const others = await ask(`
      SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('muster', 'muster_v1') AND relowner <> '${login}'::regrole
      UNION ALL SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname IN ('muster', 'muster_v1') AND proowner <> '${login}'::regrole`);
    expect(others).toEqual([]);
  });
});
