/** The statement that offers dispatches, against the rows and locks of a real database. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from 'postgres';
import { dispatchesSince, offerDispatches, readHeard, readOffers } from '../../src/db/offers.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { writePresence, type PresenceRow } from '../../src/db/presence.ts';
import { openSession } from '../../src/db/session.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import { observe } from '../../src/leader/observe.ts';
import { createTestDatabase } from '../support/database.ts';
import { ageOffers, agePresence, ENQUEUED, NEWER, putDispatch, ROLLOUT } from './support/rows.ts';

let pool: Pool;
let url: string;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'api', max: 8, statementMs: 5_000 },
  );
});
afterAll(() => pool.end());

const offer = (...hosts: string[]) => pool.run((sql) => offerDispatches(sql, 'replica-1', hosts));
const offered = async (...hosts: string[]) =>
  (await offer(...hosts)).filter((row) => row.offered).map((row) => row.rollout_id);

const session = (role: string) =>
  openSession({ url, schema: 'muster', name: 'test' }, { role, settings: {}, deadlineMs: 5_000 });

const presenceOf = (hostname: string): PresenceRow => ({
  ...{ hostname, closure: 'old', agentVersion: null, uptimeSecs: null },
  ...{ lastEventSeqByRollout: '{}', replaySaid: null },
});

async function offersOf(hostname: string) {
  return pool.run((sql) => sql`SELECT * FROM dispatch_offer WHERE hostname = ${hostname}`);
}

describe('an offer', () => {
  it('is recorded, and repeated by nobody for 30 s', async () => {
    await putDispatch(pool, 'once', ROLLOUT);
    expect(await offered('once')).toEqual([ROLLOUT]);
    const [waiting] = await offer('once');
    expect(waiting?.offered).toBe(false);
    expect(waiting?.due_ms).toBeGreaterThan(25_000);
    expect(waiting?.due_ms).toBeLessThanOrEqual(30_000);
    await ageOffers(pool, 'once', 29);
    expect(await offered('once')).toEqual([]);
    await ageOffers(pool, 'once', 2);
    expect(await offered('once')).toEqual([ROLLOUT]);
    const [row] = await offersOf('once');
    expect(row).toMatchObject({ rollout_id: ROLLOUT, replica: 'replica-1' });
  });

  it('is of nothing for hosts without a dispatch', async () => {
    expect(await offer('nobody')).toEqual([]);
    expect(await offer()).toEqual([]);
  });

  it('is not made of a suspended dispatch, and leaves no record', async () => {
    await putDispatch(pool, 'paused', ROLLOUT, { suspended: true });
    expect(await offer('paused')).toEqual([]);
    expect(await offersOf('paused')).toHaveLength(0);
  });

  it('is of the newest rollout only, even while that one is suspended', async () => {
    await putDispatch(pool, 'two', ROLLOUT, { ordinal: 1 });
    await putDispatch(pool, 'two', NEWER, { ordinal: 2 });
    expect(await offered('two')).toEqual([NEWER]);
    await putDispatch(pool, 'held', ROLLOUT, { ordinal: 1 });
    await putDispatch(pool, 'held', NEWER, { ordinal: 2, suspended: true });
    expect(await offer('held')).toEqual([]);
  });

  it("waits 60 s after the older rollout's last offer", async () => {
    await putDispatch(pool, 'after', ROLLOUT, { ordinal: 1 });
    expect(await offered('after')).toEqual([ROLLOUT]);
    await putDispatch(pool, 'after', NEWER, { ordinal: 2 });
    const [waiting] = await offer('after');
    expect(waiting).toMatchObject({ rollout_id: NEWER, offered: false });
    expect(waiting?.due_ms).toBeGreaterThan(55_000);
    await ageOffers(pool, 'after', 59);
    expect(await offered('after')).toEqual([]);
    await ageOffers(pool, 'after', 2);
    expect(await offered('after')).toEqual([NEWER]);
  });

  it('made by a clock of the server that was ahead since then says nothing, of either rollout', async () => {
    await putDispatch(pool, 'ahead', ROLLOUT);
    await offered('ahead');
    await ageOffers(pool, 'ahead', -8 * 3_600);
    expect(await offered('ahead')).toEqual([ROLLOUT]);
    const [row] = await offersOf('ahead');
    expect(row?.['last_offered_at']).toEqual(row?.['first_offered_at']);
    expect(await offered('ahead')).toEqual([]);
    await ageOffers(pool, 'ahead', -8 * 3_600);
    await putDispatch(pool, 'ahead', NEWER, { ordinal: 2 });
    expect(await offered('ahead')).toEqual([NEWER]);
  });

  it('a little ahead is waited for like any other', async () => {
    await putDispatch(pool, 'slewed', ROLLOUT);
    await offered('slewed');
    await ageOffers(pool, 'slewed', -20);
    const [waiting] = await offer('slewed');
    expect(waiting?.offered).toBe(false);
    // The machine's own clock may be set back meanwhile, by microseconds: seen once.
    expect(waiting?.due_ms).toBeLessThan(50_500);
  });

  it('goes to many hosts in one statement, each for itself', async () => {
    const hosts = Array.from({ length: 50 }, (_, i) => `many-${String(i)}`);
    for (const host of hosts) await putDispatch(pool, host, ROLLOUT);
    const rows = await offer(...hosts, 'nobody');
    expect(
      rows
        .filter((row) => row.offered)
        .map((row) => row.hostname)
        .sort(),
    ).toEqual([...hosts].sort());
  });

  it('is made once when replicas race for it', async () => {
    for (let round = 0; round < 20; round += 1) {
      const hosts = [1, 2, 3].map((i) => `race-${String(round)}-${String(i)}`);
      for (const host of hosts) await putDispatch(pool, host, ROLLOUT);
      const races = await Promise.all([
        offer(...hosts),
        offer(...[...hosts].reverse()),
        offer(...hosts),
      ]);
      const made = races.flat().filter((row) => row.offered);
      expect(made.map((row) => row.hostname).sort()).toEqual(hosts);
    }
  });
});

describe('a dispatch that the leader is taking back', () => {
  it('is neither offered nor waited for, and gone afterwards', async () => {
    await putDispatch(pool, 'taken', ROLLOUT);
    await putDispatch(pool, 'other', ROLLOUT);
    const leader = await session('taking');
    await inTransaction(leader, async (sql) => {
      await observe(sql, { rollouts: [], hosts: ['taken'] });
      const rows = await offer('taken', 'other');
      expect(rows.find((row) => row.hostname === 'other')?.offered).toBe(true);
      // Still in force as far as anyone knows: to be asked for again soon.
      expect(rows.find((row) => row.hostname === 'taken')).toMatchObject({
        offered: false,
        due_ms: 0,
      });
      expect(await offersOf('taken')).toHaveLength(0);
      await sql`DELETE FROM dispatch WHERE hostname = 'taken'`;
    });
    await leader.end();
    expect(await offer('taken')).toEqual([]);
  });

  it('cannot be taken back until its offer is committed', async () => {
    await putDispatch(pool, 'offering', ROLLOUT);
    const leader = postgres(url, { max: 1, connection: { search_path: 'muster' } });
    const replica = await session('offering');
    await inTransaction(replica, async (sql) => {
      const [row] = await offerDispatches(sql, 'replica-1', ['offering']);
      expect(row?.offered).toBe(true);
      const taking = leader`SELECT 1 FROM dispatch WHERE hostname = 'offering' FOR UPDATE NOWAIT`;
      await expect(taking).rejects.toMatchObject({ code: '55P03' });
    });
    await leader`SELECT 1 FROM dispatch WHERE hostname = 'offering' FOR UPDATE NOWAIT`;
    expect(await offersOf('offering')).toHaveLength(1);
    await Promise.all([replica.end(), leader.end()]);
  });
});

it('while somebody locks presence, no decision waits to be told when hosts were heard', async () => {
  await putDispatch(pool, 'locked', ROLLOUT);
  await offered('locked');
  await pool.run((sql) => writePresence(sql, 'replica-1', [presenceOf('locked')]));
  const leader = await session('leader');
  const observed = () =>
    inTransaction(leader, async (sql) => {
      const { offers, heard } = await observe(sql, { rollouts: [], hosts: ['locked'] });
      const [row] = await sql<{ goesOn: boolean }[]>`SELECT true AS "goesOn"`;
      return [offers.length, heard.map(({ hostname }) => hostname), row?.goesOn];
    });
  expect(await observed()).toEqual([1, ['locked'], true]);
  const dba = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  await dba.begin(async (sql) => {
    await sql`LOCK TABLE presence`;
    expect(await observed()).toEqual([1, [], true]);
  });
  // Of the table this one keeps readers out not at all, of its index all.
  await dba.begin(async (sql) => {
    await sql`REINDEX TABLE presence`;
    expect(await observed()).toEqual([1, [], true]);
  });
  expect(await observed()).toEqual([1, ['locked'], true]);
  await Promise.all([dba.end(), leader.end()]);
});

describe('what the leader is told of an offer', () => {
  const ROLLOUTS = { rollouts: [ROLLOUT], hosts: ['told'] };
  const heard = () => pool.run((sql) => readHeard(sql, ROLLOUTS.hosts));
  const offersTold = async () =>
    (await pool.run((sql) => readOffers(sql, ROLLOUTS))).filter(
      ({ hostname }) => hostname === 'told',
    );

  it('is when it was made, and when its host was heard', async () => {
    await putDispatch(pool, 'told', ROLLOUT);
    await offered('told');
    await pool.run((sql) => writePresence(sql, 'replica-1', [presenceOf('told')]));
    const soon = new Date(Date.now() - 60_000).toISOString();
    expect((await heard()).filter(({ at }) => at > soon)).toHaveLength(1);
    const [told] = await offersTold();
    expect(told?.firstOfferedAt.localeCompare(soon)).toBe(1);
  });

  it('is of no time that has not come: it was made once its dispatch was queued, and nobody was heard', async () => {
    await ageOffers(pool, 'told', -8 * 3_600);
    await agePresence(pool, 'told', -8 * 3_600);
    expect(await offersTold()).toMatchObject([
      { firstOfferedAt: expect.stringMatching(/^20/) as string, lastOfferedAt: ENQUEUED },
    ]);
    expect(await heard()).toEqual([]);
  });
});

describe('dispatchesSince', () => {
  it('finds what is newer than the last seq seen, suspended rows aside', async () => {
    await putDispatch(pool, 'late', ROLLOUT, { seq: 500 });
    await putDispatch(pool, 'quiet', ROLLOUT, { seq: 501, suspended: true });
    const found = await pool.run((sql) => dispatchesSince(sql, 499));
    expect(found).toEqual({ head: 500, hosts: ['late'] });
    expect(await pool.run((sql) => dispatchesSince(sql, 500))).toEqual({ head: 500, hosts: [] });
  });
});
