/** Answers that go by the clock change where nothing is committed, and so do their ETags. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import {
  EDGE,
  startHttpServer,
  until,
  untilOpened,
  type HttpServer,
} from '../support/http-server.ts';

const OPERATOR = { as: 'operator:ada' };
let server: HttpServer;
let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 't', max: 1, statementMs: 5_000 },
  );
  server = await startHttpServer(url);
  await untilOpened(server);
});
afterAll(async () => {
  await server.stop();
  await pool.end();
});

const overdueFor = (minutes: number) =>
  pool.run(
    (sql) => sql`
      UPDATE host_blocker SET gates = '["soak-overdue"]',
        since = clock_timestamp() - make_interval(mins => ${minutes})
      WHERE rollout_id = ${EDGE} AND hostname = 'canary-01'`,
  );

it('counts soaks that become late, and tells who has a copy', async () => {
  await overdueFor(9);
  const first = await server.call('GET', '/v1/fleet', OPERATOR);
  const before = (await first.json()) as { headSeq: number };
  expect(before).toMatchObject({ lateSoaks: 0 });
  await overdueFor(11);
  const headers = { 'if-none-match': first.headers.get('etag') ?? '' };
  const after = await until(
    () => server.call('GET', '/v1/fleet', { ...OPERATOR, headers }),
    ({ status }) => status === 200,
  );
  expect(await after.json()).toMatchObject({ headSeq: before.headSeq, lateSoaks: 1 });
});

it('tells who has a copy why a rollout waited that soaks may be over', async () => {
  const route = `/v1/rollouts/${EDGE}/blockers`;
  const etag = (await server.call('GET', route, OPERATOR)).headers.get('etag') ?? '';
  const again = { ...OPERATOR, headers: { 'if-none-match': etag } };
  await until(
    async () => (await server.call('GET', route, again)).status,
    (status) => status === 200,
  );
});
