/** The committed state for readers: loaded once, brought forward by the log, equal to the tables, dropped when idle. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differences } from '../../src/eventlog/audit.ts';
import { createFollower, type Follower } from '../../src/eventlog/follow.ts';
import { loadState } from '../../src/eventlog/state.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { isClean } from '../../src/reducer/state/dirty.ts';
import { dump, restore } from '../../src/reducer/state/rows-io.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { fakeClock, type FakeClock } from '../api/support/fakes.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat, journey } from '../support/small-fleet.ts';

let a: Replica;
let clock: FakeClock;
let follower: Follower;

beforeEach(async () => {
  const { url } = await createTestDatabase();
  a = startReplica(url, 'a');
  await a.lead();
  clock = fakeClock();
  const database = { url, schema: 'muster', name: 'reader' };
  follower = createFollower({ database, pool: a.pool, settings: DEFAULT_SETTINGS, clock });
});
afterEach(() => a.stop());

const submit = (input: StoredInput) => a.submitter.submit(input, { waitMs: 5_000 });

/** In which families the followed state is not what the tables hold. */
async function unequal(): Promise<string[]> {
  const followed = await follower.read(dump);
  return differences(followed, dump(restore(await a.pool.run(loadState))));
}

describe('the followed state', () => {
  it('equals the tables after every commit, and has nothing left to plan', async () => {
    const fleet = await declareFleet(a.pool, 3, 'abc1');
    const [first = ''] = fleet.hosts;
    expect(await unequal()).toEqual([]);
    for (const input of [fleet.input, ...fleet.hosts.map(heartbeat), ...journey(fleet, first)]) {
      await submit(input);
      expect([input.kind, await unequal()]).toEqual([input.kind, []]);
    }
    expect(await follower.read((state) => isClean(state.dirty))).toBe(true);
  });

  it('takes the declarations of a new set with the rows that name them', async () => {
    const ref = () => follower.read((state) => state.content?.ref);
    await submit((await declareFleet(a.pool, 3, 'abc1')).input);
    expect(await ref()).toBe('abc1');
    await submit((await declareFleet(a.pool, 4, 'abc2')).input);
    expect(await ref()).toBe('abc2');
    expect(await follower.read((state) => state.fleetSize)).toBe(4);
    expect(await unequal()).toEqual([]);
  });

  it('is seen as of the question or later by all who ask at once', async () => {
    const fleet = await declareFleet(a.pool, 20, 'abc1');
    await submit(fleet.input);
    const seqs = fleet.hosts.map(async (host) => {
      const result = await submit(heartbeat(host));
      const seq = result.status === 'judged' ? (result.seqs.at(-1) ?? 0) : Infinity;
      return (await follower.read((state) => state.headSeq)) - seq;
    });
    for (const ahead of await Promise.all(seqs)) expect(ahead).toBeGreaterThanOrEqual(0);
  });

  it('is kept while somebody asks, and dropped after a quiet minute', async () => {
    const held = () => follower.read((state) => state);
    const first = await held();
    expect(await held()).toBe(first);
    clock.advance(59_000);
    expect(await held()).toBe(first);
    clock.advance(60_000);
    expect(await held()).not.toBe(first);
    follower.end();
  });

  it('is loaded anew when the database was restored', async () => {
    const held = () => follower.read((state) => state);
    const first = await held();
    await a.pool.run((sql) => sql`UPDATE epoch SET incarnation = 'another'`);
    expect(await held()).not.toBe(first);
  });
});
