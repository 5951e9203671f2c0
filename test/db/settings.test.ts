import { expect, it } from 'vitest';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { createPool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { createTestDatabase } from '../support/database.ts';

/** What an old application's DBA may have set for all, and what a server that compiles does by itself. */
const ODD = {
  jit: ['on', 'off'],
  bytea_output: ['escape', 'hex'],
  array_nulls: ['off', 'on'],
  extra_float_digits: ['-15', '1'],
  standard_conforming_strings: ['off', 'on'],
  row_security: ['on', 'off'],
  client_min_messages: ['error', 'warning'],
  default_transaction_isolation: ['serializable', 'read committed'],
  lock_timeout: ['1ms', '0'],
} as const;

async function askedIn(database: DatabaseOptions): Promise<void> {
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const session = await openSession(database, { role: 'test', settings: {}, deadlineMs: 5_000 });
  try {
    for (const place of [pool, session]) {
      const ours = Object.entries({
        ...ODD,
        application_name: ['x', 'settings:test'],
        client_encoding: ['LATIN1', 'UTF8'],
      });
      for (const [setting, [, value]] of ours) {
        const [row] = await place.run(
          (sql) => sql<{ value: string }[]>`SELECT current_setting(${setting}) AS value`,
        );
        expect([setting, row?.value]).toEqual([setting, value]);
      }
    }
  } finally {
    await pool.end();
    await session.end();
  }
}

it('asks for the settings that it relies on, whatever the database has', async () => {
  const { url, name } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'settings' };
  const admin = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  for (const [setting, [odd]] of Object.entries(ODD)) {
    await admin.run((sql) => sql.unsafe(`ALTER DATABASE "${name}" SET ${setting} = '${odd}'`));
  }
  await admin.end();
  await askedIn(database);
});

it('asks for them whatever its URL says, which may say more', async () => {
  const { url: plain } = await createTestDatabase();
  const query = new URLSearchParams({ application_name: 'x', max: '9', connect_timeout: '10' });
  for (const [setting, [odd]] of Object.entries(ODD)) {
    query.set(setting, odd);
    query.set(setting.toUpperCase(), odd);
  }
  query.set('CLIENT_ENCODING', 'LATIN1');
  query.set('Client_Min_Messages', 'error');
  query.set('work_mem', '7MB');
  query.set('options', '-c bytea_output=escape -c lock_timeout=1');
  const url = `${plain}?${query.toString()}`;
  const database = { url, schema: 'muster', name: 'settings' };
  await askedIn(database);
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  expect([...(await pool.run((sql) => sql`SHOW work_mem`))]).toEqual([{ work_mem: '7MB' }]);
  await pool.end();
});

it('keeps what it has nothing to say on, whatever the database has', async () => {
  const { url, name } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'settings' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  await pool.run((sql) => sql.unsafe(`ALTER DATABASE "${name}" SET idle_session_timeout = '10s'`));
  await pool.end();
  const fresh = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const writer = await openWriter(database);
  try {
    for (const place of [fresh, writer]) {
      const rows = await place.run((sql) => sql`SHOW idle_session_timeout`);
      expect([...rows]).toEqual([{ idle_session_timeout: '0' }]);
    }
  } finally {
    await fresh.end();
    await writer.end();
  }
});

it.each([
  ['q7k', /^muster-x{8}~x+-q7k:test$/],
  ['größe', /^muster-x{8}~x+-gr\?\?e:test$/],
])(
  'names each connection by its role, however long the name of the process is: %s',
  async (end, expected) => {
    const { url } = await createTestDatabase();
    const database = { url, schema: 'muster', name: `muster-${'x'.repeat(60)}-${end}` };
    const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
    const [row] = await pool.run(
      (sql) => sql<{ application_name: string }[]>`SHOW application_name`,
    );
    await pool.end();
    expect(row?.application_name).toMatch(expected);
    expect(row?.application_name).toHaveLength(63);
  },
);

it('reaches a database whose name is percent-encoded in the URL', async () => {
  const { url, name } = await createTestDatabase();
  const odd = `${name} ird?/%é`;
  const admin = createPool(
    { url, schema: 'muster', name: 'odd' },
    { role: 'test', max: 1, statementMs: 20_000 },
  );
  await admin.run((sql) => sql.unsafe(`CREATE DATABASE "${odd}"`));
  const named = Object.assign(new URL(url), { pathname: `/${encodeURIComponent(odd)}` });
  const there = createPool(
    { url: named.href, schema: 'muster', name: 'odd' },
    { role: 'test', max: 1, statementMs: 5_000 },
  );
  try {
    const [row] = await there.run(
      (sql) => sql<{ name: string }[]>`SELECT current_database() AS name`,
    );
    expect(row?.name).toBe(odd);
  } finally {
    await there.end();
    await admin.run((sql) => sql.unsafe(`DROP DATABASE "${odd}"`));
    await admin.end();
  }
});
