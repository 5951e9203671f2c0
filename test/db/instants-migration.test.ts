/** No row that SQL may write holds an instant that cannot be read: neither from now on, nor from before the rule. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createTestDatabase } from '../support/database.ts';

const BOUNDED = 29;
const OUTSIDE = ['infinity', '-infinity', '20000-01-01 00:00:00+00', '0044-03-15 00:00:00+00 BC'];

it('puts working memory right, leaves what the log leads to, and refuses such rows from then on', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const database = { url, schema: 'muster', name: 'test' };
  const before = packagedMigrations().filter(({ version }) => version < BOUNDED);
  await migrate(database, { migrations: before });
  const sql = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  const instant = (at: string) => sql`${at}::text::timestamptz`;
  const stores = {
    hear: (at: string) =>
      sql`INSERT INTO presence (hostname, heard_at) VALUES (${at}, ${instant(at)})`,
    offer: (at: string) => sql`
      INSERT INTO dispatch_offer (rollout_id, hostname, first_offered_at, last_offered_at, replica)
      VALUES ('r', ${at}, now(), ${instant(at)}, 'x')`,
    keep: (at: string) => sql`INSERT INTO operator_secret (token_id, hash, last_used_at)
      VALUES (${at}, sha256('x'), ${instant(at)})`,
    reject: (
      at: string,
    ) => sql`INSERT INTO fleet (seq, opened, reject_before) VALUES (1, 0, ${instant(at)})
      ON CONFLICT (singleton) DO UPDATE SET reject_before = EXCLUDED.reject_before`,
    reach: (at: string) => sql`INSERT INTO host (hostname, seq, reachability, reachability_at)
      VALUES (${at}, 1, 'reachable', ${instant(at)})`,
    enrol: (at: string) => sql`INSERT INTO enrolment VALUES
      (${at}, 1, 'h', 'c', 'k', '01', now(), ${instant(at)}, now(), now(), now(), 0)`,
  };
  const inRange = '9998-12-31 23:59:59.999+00';
  try {
    for (const at of [...OUTSIDE, inRange])
      for (const store of Object.values(stores)) await store(at);
    await stores.reject('infinity');
    await migrate(database);
    const [left] = await sql`SELECT (SELECT array_agg(hostname) FROM presence) AS heard,
      (SELECT count(*)::int FROM dispatch_offer
       WHERE last_offered_at > now() + '1 minute' OR last_offered_at < now() - interval '1 minute') AS odd,
      (SELECT count(*)::int FROM operator_secret WHERE last_used_at IS NULL) AS unused,
      (SELECT reject_before::text FROM fleet) AS rejected,
      (SELECT count(*)::int FROM host) AS hosts, (SELECT count(*)::int FROM enrolment) AS enrolled`;
    const kept = OUTSIDE.length + 1;
    expect(left).toEqual({
      ...{ heard: [inRange], odd: 1, unused: OUTSIDE.length, rejected: 'infinity' },
      ...{ hosts: kept, enrolled: kept },
    });
    for (const at of OUTSIDE)
      for (const store of Object.values(stores))
        await expect(store(at)).rejects.toMatchObject({
          code: '23514',
          constraint_name: expect.stringMatching(/_instants$/) as string,
        });
    await stores.reject('0001-01-01 00:00:00+00');
  } finally {
    await sql.end();
  }
});
