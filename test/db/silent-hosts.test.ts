/** Who is silent is told by the database's clock alone. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { isAnyoneHeard, readSilentHosts } from '../../src/db/housekeeping.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';

const SILENT_MS = 180_000;
let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'w', max: 1, statementMs: 9_000 },
  );
});
afterAll(() => pool.end());
beforeEach(() => pool.run((sql) => sql`TRUNCATE host, presence`));

/** Both in seconds ago by the database's clock; null: never heard. */
async function put(hostname: string, heard: number | null, reachable: number, is = 'reachable') {
  await pool.run(async (sql) => {
    await sql`
      INSERT INTO host (hostname, seq, reachability, reachability_at)
      VALUES (${hostname}, 1, ${is}, clock_timestamp() - ${reachable} * interval '1 second')`;
    if (heard === null) return;
    await sql`
      INSERT INTO presence (hostname, heard_at)
      VALUES (${hostname}, clock_timestamp() - ${heard} * interval '1 second')`;
  });
}
const silent = async (limit = 10) =>
  (await readSilentHosts(pool, SILENT_MS, limit)).map(({ hostname }) => hostname);

it('most silent first, whose presence is lost last, and only who counts as reachable', async () => {
  await put('heard', 100, 9_000);
  await put('silent', 200, 9_000);
  await put('lost', null, 9_000);
  await put('long', 400, 9_000);
  await put('told', 400, 300, 'unreachable');
  expect(await silent()).toEqual(['long', 'silent', 'lost']);
  expect(await silent(2)).toEqual(['long', 'silent']);
});

it('a host that has just come back has time to be noted, by any ordinary clock of a leader', async () => {
  await put('back', 9_000, 1);
  await put('back-by-a-fast-clock', 9_000, -60);
  expect(await silent()).toEqual([]);
});

it('a leader whose clock is an hour ahead hides nobody', async () => {
  await put('silent', 200, -3_600);
  expect(await silent()).toEqual(['silent']);
});

it("who was heard by the server's clock while that was ahead is one of whom nothing is known", async () => {
  await put('ahead', -8 * 3_600, 9_000);
  await put('slewed', -20, 9_000);
  await put('silent', 200, 9_000);
  const found = await readSilentHosts(pool, SILENT_MS, 10);
  expect(found).toMatchObject([
    { hostname: 'silent', lastHeardAt: expect.any(String) as string },
    { hostname: 'ahead', lastHeardAt: null },
  ]);
});

it('says since when a host counts as reachable', async () => {
  await put('silent', 200, 9_000);
  const [row] = await readSilentHosts(pool, SILENT_MS, 1);
  const ago = await pool.run(
    (sql) => sql<{ at: string }[]>`SELECT reachability_at AS at FROM host`,
  );
  expect(row?.reachableAt).toBe(ago[0]?.at);
});

it('somebody is heard, whether it is known to us or not, when anybody was lately', async () => {
  const anyone = () => isAnyoneHeard(pool, SILENT_MS);
  expect(await anyone()).toBe(false);
  await put('silent', 181, 9_000);
  await put('of-a-clock-ahead', -3_600, 9_000);
  expect(await anyone()).toBe(false);
  await pool.run(
    (sql) => sql`
      INSERT INTO presence (hostname, heard_at)
      VALUES ('stranger', clock_timestamp() - interval '170 seconds')`,
  );
  expect(await anyone()).toBe(true);
});
