/** Which verified file of a name is current, when two processes store at odds. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  readAccepted,
  readRefused,
  readToldOutcomes,
  storeArtifacts,
  type StoredArtifact,
} from '../../src/db/artifacts.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { putRollout } from '../api/support/rows.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';

let pool: Pool;
let replica: Replica;

beforeAll(async () => {
  const { url, schema } = await createTestDatabase();
  const database = { url, schema, name: 'artifacts' };
  replica = startReplica(url, 'artifacts');
  pool = createPool(database, { role: 'test', max: 5, statementMs: 10_000 });
});

afterAll(async () => {
  await replica.stop();
  await pool.end();
});

function fleetOf(hash: string, signedAt: string): StoredArtifact {
  const file = { bytes: Buffer.from(hash), signature: Buffer.alloc(64), content: '{"hosts":[]}' };
  return { kind: 'fleet', name: 'fleet.resolved', hash, ...file, signedAt };
}

const store = (...artifacts: StoredArtifact[]) =>
  storeArtifacts(pool, artifacts, '2026-11-01T12:00:00.000Z');

async function current(): Promise<string[]> {
  return (await readAccepted(pool)).map(({ name, hash }) => `${name} ${hash}`).sort();
}

it('takes what is newer or equally old, and nothing of a set with something older', async () => {
  expect(await store(fleetOf('b', '2026-11-01T11:00:00Z'))).toBe(true);
  expect(await store(fleetOf('c', '2026-11-01T11:00:00Z'))).toBe(true);
  const beside = { ...fleetOf('m', '2026-11-01T11:30:00Z'), name: 'lab@1' };
  expect(await store(fleetOf('a', '2026-11-01T10:00:00Z'), beside)).toBe(false);
  expect(await current()).toEqual(['fleet.resolved c']);
});

it('lets the newest be current, whoever stores at the same instant', async () => {
  const hours = ['12', '13', '14', '15', '16'];
  const all = hours.map((hour) => fleetOf(`h${hour}`, `2026-11-01T${hour}:00:00Z`));
  // One that meets another on the index fails, and is tried again as the poll would.
  const stubborn = async (artifact: StoredArtifact): Promise<boolean> => {
    for (;;) {
      const done = await store(artifact).catch(() => null);
      if (done !== null) return done;
    }
  };
  const done = await Promise.all(all.map(stubborn));
  expect(done.at(-1)).toBe(true);
  expect(await current()).toEqual(['fleet.resolved h16']);
});

it('knows the outcomes that wait for the leader, and those of the log, newest first', async () => {
  const tell = (hash: string, waitMs: number) => {
    const outcome = { artifact: 'fleet.resolved', ok: false, reason: 'stale', hash } as const;
    return replica.submitter.submit({ kind: 'VerifyOutcome', ...outcome, detail: '' }, { waitMs });
  };
  await replica.lead();
  await tell('a', 10_000);
  await replica.resign();
  await tell('b', 0);
  await tell('c', 0);
  const told = await readToldOutcomes(pool);
  expect(told.map(({ hash }) => hash)).toEqual(['c', 'b', 'a']);
});

it('knows what does not pass now, and since when', async () => {
  const names = async () => (await pool.run(readRefused)).map(({ artifact }) => artifact);
  const tell = (artifact: string, reason: 'stale' | 'bad-signature' | null, hash = 'x') => {
    const outcome = {
      artifact,
      ok: reason === null,
      reason,
      hash,
      detail: `${hash} of ${artifact}`,
    };
    return replica.submitter.submit({ kind: 'VerifyOutcome', ...outcome }, { waitMs: 10_000 });
  };
  await replica.lead();
  await putRollout(pool, 'lab@2', 3);
  await tell('fleet.resolved', null);
  expect(await names()).toEqual([]);
  await tell('fleet.resolved', 'stale', 'a');
  await tell('revocations', 'bad-signature');
  const [first] = await pool.run(readRefused);
  await tell('fleet.resolved', 'bad-signature', 'b');
  const [now] = await pool.run(readRefused);
  expect(now).toEqual({
    ...{ artifact: 'fleet.resolved', reason: 'bad-signature', detail: 'b of fleet.resolved' },
    since: first?.since,
  });
  await tell('rollouts/lab@2', 'bad-signature');
  await tell('rollouts/lab@9', 'bad-signature');
  expect(await names()).toEqual([
    ...['fleet.resolved', 'revocations', 'rollouts/lab@2', 'rollouts/lab@9'],
  ]);
  await tell('fleet.resolved', null);
  // What runs is dispatched by its manifest still; a release that never passed is history.
  expect(await names()).toEqual(['revocations', 'rollouts/lab@2']);
  await tell('rollouts/lab@2', null);
  await tell('revocations', null);
  expect(await names()).toEqual([]);
  await replica.resign();
});

it('knows which manifests are of rollouts that go on', async () => {
  const manifest = (name: string): StoredArtifact => ({
    ...fleetOf('m', '2026-11-01T17:00:00Z'),
    ...{ kind: 'manifest', name },
  });
  await putRollout(pool, 'lab@1', 1);
  await putRollout(pool, 'edge@1', 2);
  await pool.run((sql) => sql`UPDATE rollout SET state = 'Superseded' WHERE rollout_id = 'edge@1'`);
  await store(manifest('lab@1'), manifest('edge@1'), manifest('edge@2'));
  const found = (await readAccepted(pool)).filter(({ kind }) => kind === 'manifest');
  const told = found.map(({ name, opened, running }) => ({ name, opened, running }));
  expect(told.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { name: 'edge@1', opened: true, running: false },
    { name: 'edge@2', opened: false, running: false },
    { name: 'lab@1', opened: true, running: true },
  ]);
});
