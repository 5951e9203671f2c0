/** Ids of the queue are ones that a double carries and a slot is found for, those included that were not when it came. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createTestDatabase } from '../support/database.ts';

const BOUNDED = 28;
const OUTSIDE = ['0', '-5', '9007199254740992', '9223372036854775807', '-9223372036854775808'];

it('gives inputs another id whose own no leader can take, and refuses such from then on', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const database = { url, schema: 'muster', name: 'test' };
  const before = packagedMigrations().filter(({ version }) => version < BOUNDED);
  await migrate(database, { migrations: before });
  const sql = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  const store = (id: string) =>
    sql`INSERT INTO input_queue (id, kind, payload) VALUES (${id}::bigint, ${id}, '{}')`;
  try {
    await sql`INSERT INTO input_queue (kind, payload) VALUES ('first', '{}')`;
    for (const id of [...OUTSIDE, '9007199254740991']) await store(id);
    await migrate(database);
    const rows = await sql<{ id: string; kind: string }[]>`
      SELECT id, kind FROM input_queue ORDER BY id`;
    expect(rows.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6', '9007199254740991']);
    expect(rows.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['first', ...OUTSIDE]) as string[],
    );
    for (const id of OUTSIDE) await expect(store(id)).rejects.toMatchObject({ code: '23514' });
    await sql`INSERT INTO input_queue (kind, payload) VALUES ('next', '{}')`;
  } finally {
    await sql.end();
  }
});
