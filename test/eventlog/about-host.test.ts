/** What is about a host stays so when retention takes its rollouts away: the log still has every row. */
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { isAbout } from '../../src/eventlog/about-host.ts';
import { readTail, type TailRow } from '../../src/eventlog/tail.ts';
import { createTestDatabase } from '../support/database.ts';
import { seed } from './support/seed.ts';

/** web3 and web4 are told of together only, in a rollout that never comes to them. */
const STORY = `
channel stable
wave stable soak=60 web1
wave stable soak=0 web3 web4
takeover
heartbeat * c0
declare 1
operator pause stable
operator resume stable
event web1 ack
event web1 completed
declare 2
retire stable@1
`;

it('is found page by page, of rollouts that were pruned too', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 10_000 });
  await seed((statements) => pool.run(statements), STORY);
  const read = async (after: number, limit: number, of?: string): Promise<readonly TailRow[]> => {
    const host = of === undefined ? {} : { host: { hostname: of, channel: 'stable' } };
    return (await pool.run((sql) => readTail(sql, { after, limit, ...host })))?.rows ?? [];
  };
  const all = await read(0, 1_000);
  expect(all.map(({ payload }) => JSON.stringify(payload)).join()).toContain('Pruned');
  for (const hostname of ['web3', 'web4']) {
    const about = all.filter((row) => isAbout(row, { hostname, channel: 'stable' }));
    expect(
      about.filter((row) => row.hostname === null && row.rolloutId === 'stable@1'),
    ).not.toEqual([]);
    for (const limit of [1, 2, 5, 1_000]) {
      const found: TailRow[] = [];
      for (;;) {
        const page = await read(found.at(-1)?.seq ?? 0, limit, hostname);
        found.push(...page);
        if (page.length < limit) break;
      }
      expect([limit, found.map(({ seq }) => seq)]).toEqual([limit, about.map(({ seq }) => seq)]);
    }
  }
  await pool.end();
});
