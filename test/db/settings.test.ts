import { expect, it } from 'vitest';
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

it('asks for the settings that it relies on, whatever the database has', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'settings' };
  const admin = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const name = new URL(url).pathname.slice(1);
  for (const [setting, [odd]] of Object.entries(ODD)) {
    await admin.run((sql) => sql.unsafe(`ALTER DATABASE "${name}" SET ${setting} = '${odd}'`));
  }
  await admin.end();
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const session = await openSession(database, { role: 'test', settings: {}, deadlineMs: 5_000 });
  try {
    for (const place of [pool, session]) {
      for (const [setting, [, ours]] of Object.entries(ODD)) {
        const [row] = await place.run(
          (sql) => sql<{ value: string }[]>`SELECT current_setting(${setting}) AS value`,
        );
        expect([setting, row?.value]).toEqual([setting, ours]);
      }
    }
  } finally {
    await pool.end();
    await session.end();
  }
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

it('names each connection by its role, however long the name of the process is', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'muster-'.padEnd(80, 'x') };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const [row] = await pool.run((sql) => sql<{ application_name: string }[]>`SHOW application_name`);
  await pool.end();
  expect(row?.application_name).toMatch(/^muster-x{51}:test$/);
});
