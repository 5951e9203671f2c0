/** `muster migrate` against databases that are away, or do not let it in. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Server } from 'node:net';
import postgres from 'postgres';
import { migrate } from '../../src/cli/migrate.ts';
import { replay } from '../../src/cli/replay.ts';
import { migrate as migrateSchema } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { forward } from '../support/late-port.ts';
import { run } from './support.ts';
import { freePort } from '../../src/cli/dev/free-port.ts';

let door: Server | undefined;
afterAll(() => door?.close());

describe('muster migrate', () => {
  it('waits for a database that comes later, and says so', async () => {
    const real = new URL((await createTestDatabase()).url);
    const late = new URL(real);
    late.hostname = '127.0.0.1';
    late.port = String(await freePort());
    const said: string[] = [];
    const code = await migrate(['--database-url', late.href, '--schema', 'later', '--json'], {
      stdout: { write: (text) => said.push(text) },
      stderr: {
        write: (text) => {
          said.push(text);
          if (door === undefined) void forward(Number(late.port), real).then((at) => (door = at));
        },
      },
    });
    expect(said[0]).toMatch(/ECONNREFUSED.*start PostgreSQL.*trying again/);
    expect(JSON.parse(said.at(-1) ?? '')).toMatchObject({ ok: true, schema: 'later' });
    expect(code).toBe(0);
  });

  it('says at once what time does not mend', async () => {
    const url = new URL((await createTestDatabase()).url);
    url.pathname = '/nowhere';
    const outcome = await run(migrate, '--database-url', url.href);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/3D000.*create the database, or correct its name/);
    expect(outcome.stderr).not.toContain('trying again');
  });
});

/** The first that alters a table which every request writes to. */
const ALTERS_QUEUE = 14;

describe('muster migrate on a Muster that runs', () => {
  it('keeps nobody waiting while it waits for a reader of the queue', async () => {
    const { url } = await createTestDatabase({ empty: true });
    const migrations = packagedMigrations().filter(({ version }) => version < ALTERS_QUEUE);
    await migrateSchema({ url, schema: 'muster', name: 'test' }, { migrations });
    // Agents wait two seconds for a verdict.
    const connection = { search_path: 'muster', lock_timeout: 2_000 };
    const sql = postgres(url, { max: 3, connection, onnotice: () => undefined });
    const reader = await sql.reserve();
    await reader`BEGIN`;
    await reader`SELECT count(*) FROM input_queue`;
    const said: string[] = [];
    const write = (text: string): number => said.push(text);
    const migrating = migrate(['--database-url', url], { stdout: { write }, stderr: { write } });
    await eventually(
      () => sql`SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE '%:migrate'
          AND wait_event_type = 'Lock'`,
    ).toHaveLength(1);
    await sql`INSERT INTO input_queue (kind, payload) VALUES ('Tick', '{}')`;
    await eventually(() => said.join('')).toMatch(/55P03.*another session or .*trying again/);
    await reader`COMMIT`;
    expect(await migrating).toBe(0);
    reader.release();
    await sql.end();
  });
});

describe('muster migrate --check and --plan', () => {
  const settings = async (): Promise<string[]> => {
    const { url } = await createTestDatabase({ empty: true });
    return ['--database-url', url, '--schema', 'fresh'];
  };

  it('say what an empty database lacks, change nothing, and are content afterwards', async () => {
    const on = await settings();
    const names = packagedMigrations().map(({ name }) => name);
    const before = await run(migrate, ...on, '--check', '--json');
    expect(before.code).toBe(1);
    expect(before.json).toMatchObject({ ok: false, version: null, pending: names });
    const plan = await run(migrate, ...on, '--plan');
    expect(plan.code).toBe(0);
    for (const name of names) expect(plan.stdout).toContain(`-- ${name}\n`);
    expect(plan.stdout).not.toContain('{{schema}}');
    expect((await run(migrate, ...on, '--check', '--json')).json).toMatchObject({ version: null });
    expect((await run(migrate, ...on)).code).toBe(0);
    const after = await run(migrate, ...on, '--check');
    expect(after.code).toBe(0);
    expect(after.stdout).toContain('wants');
    expect((await run(migrate, ...on, '--plan')).stdout).toBe('-- schema fresh: nothing to do\n');
  });

  it('say of an older schema what a replay of it says', async () => {
    const on = await settings();
    const migrations = packagedMigrations().filter(({ version }) => version <= ALTERS_QUEUE);
    await migrateSchema({ url: on[1] ?? '', schema: 'fresh', name: 'test' }, { migrations });
    const check = await run(migrate, ...on, '--check');
    const said = check.stdout.replace('schema fresh: ', '').trim();
    expect(said).toMatch(/lacks .*run "muster migrate"/);
    const replayed = await run(replay, '--verify', ...on);
    expect([replayed.code, replayed.stderr]).toEqual([2, expect.stringContaining(said)]);
  });

  it('say that a newer schema is fine as long as it only adds', async () => {
    const on = await settings();
    await run(migrate, ...on);
    const database = { url: on[1] ?? '', schema: 'fresh', name: 'test' };
    const later = { name: 'later.sql', sql: 'SELECT 1', checksum: 'x' };
    await migrateSchema(database, { migrations: [{ ...later, version: 9998, oldestCode: 0 }] });
    expect((await run(migrate, ...on, '--check')).code).toBe(0);
    await migrateSchema(database, { migrations: [{ ...later, version: 9999, oldestCode: 9999 }] });
    const behind = await run(migrate, ...on, '--check');
    expect(behind.code).toBe(1);
    expect(behind.stdout).toContain('upgrade it');
  });

  it('do not guess when nobody can be asked', async () => {
    const outcome = await run(migrate, '--check', '--plan');
    expect(outcome.code).toBe(2);
    const url = new URL((await createTestDatabase()).url);
    url.pathname = '/nowhere';
    expect((await run(migrate, '--check', '--database-url', url.href)).code).toBe(2);
  });
});
