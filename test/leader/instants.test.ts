/** Instants that PostgreSQL takes and the core does not: what SQL can write must not keep anybody from leading. */
import { afterEach, expect, it } from 'vitest';
import postgres from 'postgres';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';

let replicas: Replica[] = [];
let owner: postgres.Sql;
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  replicas = [];
  await owner.end();
});

async function start(count: number): Promise<Replica[]> {
  const { url } = await createTestDatabase();
  owner = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  replicas = Array.from({ length: count }, (_, i) => startReplica(url, `r${String(i)}`));
  return replicas;
}

it('a queued instant that no table gives back is set aside, and the next leader leads', async () => {
  const [a, b] = await start(2);
  if (a === undefined || b === undefined) throw new Error('two replicas');
  await a.lead();
  await owner`INSERT INTO input_queue (kind, payload) VALUES
    ('TrustChanged', '{"kind":"TrustChanged","rejectBefore":"infinity"}')`;
  const tick = await a.submitter.submit({ kind: 'Tick' }, { waitMs: 10_000 });
  expect(tick).toMatchObject({ status: 'judged' });
  expect([...(await owner`SELECT kind, error FROM dead_input`)]).toEqual([
    {
      kind: 'TrustChanged',
      error: expect.stringMatching(/^TrustChanged\.rejectBefore: .*canonical instant/) as string,
    },
  ]);
  await a.resign();
  expect(await b.lead()).toMatchObject({ epoch: 2 });
});

it('a state that no leader can read is told of by table, column and value', async () => {
  const [a] = await start(1);
  if (a === undefined) throw new Error('a replica');
  await a.lead();
  await a.submitter.submit(heartbeat('web-01'), { waitMs: 10_000 });
  await a.resign();
  await owner`ALTER TABLE host DROP CONSTRAINT host_instants`;
  await owner`UPDATE host SET reachability_at = '-infinity'`;
  const leading = a.lead();
  await eventually(() => a.log.filter((line) => line.startsWith('no longer leading'))[0]).toMatch(
    /column reachability_at of table host holds the instant \\"-infinity\\", .* correct it as the owner/,
  );
  await owner`UPDATE host SET reachability_at = '2026-05-16T01:27:01.000Z'`;
  expect((await leading).epoch).toBeGreaterThan(1);
});

it('an input whose rows the check of a derived table refuses is set aside, alone', async () => {
  const [a] = await start(1);
  if (a === undefined) throw new Error('a replica');
  await owner`ALTER TABLE host ADD CONSTRAINT host_h2_instants CHECK (hostname <> 'h2')`;
  const hosts = ['h1', 'h2', 'h3'];
  await Promise.all(hosts.map((host) => a.submitter.submit(heartbeat(host), { waitMs: 0 })));
  await a.lead();
  const tick = await a.submitter.submit({ kind: 'Tick' }, { waitMs: 10_000 });
  expect(tick).toMatchObject({ status: 'judged' });
  expect([...(await owner`SELECT hostname, error FROM dead_input`)]).toEqual([
    { hostname: 'h2', error: expect.stringContaining('"host_h2_instants"') as string },
  ]);
  expect([...(await owner`SELECT hostname FROM host ORDER BY hostname`)]).toEqual([
    { hostname: 'h1' },
    { hostname: 'h3' },
  ]);
  expect(a.leader.term?.epoch).toBe(1);
});
