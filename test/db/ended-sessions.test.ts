/**
 * A session may end at any moment of a statement: a server restarts, a time limit of its own ends it, a cable is cut. Every
 * caller hears so, and the process goes on.
 */
import { afterAll, beforeAll, expect, expectTypeOf, it } from 'vitest';
import { countBlockers } from '../../src/db/blocked.ts';
import { openClient, type DatabaseOptions, type Sql } from '../../src/db/driver.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { openGate, type Gate } from '../support/late-port.ts';

const TIMES = 25;
/** Whom the driver forgets, the pool's own deadline answers: two seconds later, so that a test may see many of them. */
const STATEMENT_MS = 1_000;
const ALL_MS = TIMES * (STATEMENT_MS + 3_000);
/** Where a busy machine lets few be seen, so many are enough once half of the time is over. */
const ENOUGH = 5;

let database: DatabaseOptions;
let gate: Gate;
let ender: Sql;
let blocker: Sql;
const uncaught: Error[] = [];
const note = (error: Error): void => void uncaught.push(error);

beforeAll(async () => {
  const { url } = await createTestDatabase();
  gate = await openGate(new URL(url));
  gate.open();
  const through = Object.assign(new URL(url), { port: String(gate.port) });
  database = { url: through.href, schema: 'muster', name: 'ended' };
  const direct = { ...database, url };
  ender = openClient(direct, { role: 'ender', max: 1, settings: {} });
  blocker = openClient(direct, { role: 'blocker', max: 1, settings: {} });
  process.on('uncaughtException', note);
});
afterAll(async () => {
  process.removeListener('uncaughtException', note);
  await Promise.all([ender.end(), blocker.end()]);
  gate.close();
});

/** The one session of the pool under test. */
const isUnderTest = (): ReturnType<Sql> => ender`application_name = 'ended:counts'`;

async function sessionsThatWait(): Promise<number> {
  const waiting =
    await ender`SELECT FROM pg_stat_activity WHERE ${isUnderTest()} AND wait_event_type = 'Lock'`;
  return waiting.length;
}

/** Not so: a busy machine let the count run into its own limit first, and there is nothing to end. */
async function isSeenToWait(counted: Promise<unknown>): Promise<boolean> {
  const seen = { over: false, waits: false };
  void counted.then(() => (seen.over = true));
  await eventually(async () => {
    seen.waits = (await sessionsThatWait()) === 1;
    return seen.waits || seen.over;
  }).toBe(true);
  return seen.waits;
}

const WAYS: Readonly<Record<string, () => unknown>> = {
  'by its server': () =>
    ender`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${isUnderTest()}`,
  'by its connection': () => gate.cut(),
};

it.each(Object.keys(WAYS))(
  'counts what holds hosts, and is ended %s',
  async (way) => {
    const pools: Pool[] = [];
    const halfTime = performance.now() + ALL_MS / 2;
    const goesOn = (reached: number): boolean =>
      reached < (performance.now() < halfTime ? TIMES : ENOUGH);
    for (let reached = 0; goesOn(reached);) {
      await blocker`BEGIN`;
      await blocker`LOCK TABLE host_blocker`;
      // A pool that heard of the end just now may still ask the session that ends.
      const pool = createPool(database, { role: 'counts', max: 1, statementMs: STATEMENT_MS });
      pools.push(pool);
      const counted = pool.run(countBlockers).catch((error: unknown) => error);
      if (await isSeenToWait(counted)) reached += 1;
      await WAYS[way]?.();
      expect(await counted).toBeInstanceOf(Error);
      await blocker`ROLLBACK`;
    }
    await Promise.all(pools.map((pool) => pool.end()));
    expect(uncaught).toEqual([]);
  },
  ALL_MS,
);

it('cannot begin what the driver undoes over a connection that is gone', () => {
  expectTypeOf<Sql['begin']>().toBeNever();
});
