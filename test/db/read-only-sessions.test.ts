/** Sessions that began while the database took no writes stay so for ever; the pool does not stay with them. */
import { expect, it, vi } from 'vitest';
import { isReadOnly } from '../../src/db/errors.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

it('writes again once the setting is gone', async () => {
  const { url, name } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  const owner = createPool(database, { role: 'owner', max: 1, statementMs: 5_000 });
  await owner.run((sql) => sql`CREATE TABLE written (n int)`);
  const alter = (text: string) =>
    owner.run((sql) => sql.unsafe(`ALTER DATABASE "${name}" ${text}`));
  await alter('SET default_transaction_read_only = on');
  const pool = createPool(database, { role: 'late', max: 2, statementMs: 5_000 });
  const write = () => pool.run((sql) => sql`INSERT INTO written VALUES (1)`);
  const refused = await write().catch((error: unknown) => error);
  expect(isReadOnly(refused)).toBe(true);
  await alter('RESET default_transaction_read_only');
  await eventually(() =>
    write().then(
      () => 'written',
      () => 'refused',
    ),
  ).toBe('written');
  await Promise.all([pool.end(), owner.end()]);
});

it('stays ended', async () => {
  const { url } = await createTestDatabase();
  const pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'ended', max: 1, statementMs: 5_000 },
  );
  const refused = pool.run(
    (sql) => sql`DO $$ BEGIN SET LOCAL transaction_read_only = on; CREATE TABLE none (); END $$`,
  );
  expect(isReadOnly(await refused.catch((error: unknown) => error))).toBe(true);
  await pool.end();
  const later = performance.now() + 60_000;
  vi.spyOn(performance, 'now').mockReturnValue(later);
  const run = pool.run((sql) => sql`SELECT 1`).finally(() => vi.restoreAllMocks());
  await expect(run).rejects.toMatchObject({ code: 'CONNECTION_ENDED' });
});
