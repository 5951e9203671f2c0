/** Instants that the server can hold, as the driver hands them on. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';

let pool: Pool;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'instants' };
  pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
});
afterAll(() => pool.end());

const readBack = (text: string, zone = 'UTC'): Promise<unknown> =>
  pool.run(async (sql) => {
    await sql`SELECT set_config('timezone', ${zone}, false)`;
    const [row] = await sql<{ at: string }[]>`SELECT ${text}::text::timestamptz AS at`;
    return row?.at;
  });

it.each([
  ['2026-05-16T01:27:01.000Z', '2026-05-16T01:27:01.000Z'],
  ['2026-05-16T01:27:01.5Z', '2026-05-16T01:27:01.500Z'],
  ['2026-05-16T01:27:01.123987Z', '2026-05-16T01:27:01.123Z'],
  ['0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.000Z'],
  ['0044-03-15T12:00:00.000Z', '0044-03-15T12:00:00.000Z'],
  ['9998-12-31T23:59:59.999Z', '9998-12-31T23:59:59.999Z'],
])('reads %s as it was written', async (text, read) => {
  expect(await readBack(text)).toBe(read);
  // As behind a pooler that drops what sessions set.
  if (text > '1970') expect(await readBack(text, 'Asia/Kathmandu')).toBe(read);
});

it.each(['infinity', '-infinity', '20000-01-01T00:00:00Z', '0044-03-15 00:00:00+00 BC'])(
  'names %s, which cannot be read, and the next answer is whole',
  async (text) => {
    await expect(readBack(text)).rejects.toThrow(
      /^the database holds the instant ".+", and only those of the years 1 to 9999 can be read: correct it as the owner/,
    );
    expect(await readBack('2026-05-16T01:27:01.000Z')).toBe('2026-05-16T01:27:01.000Z');
  },
);
