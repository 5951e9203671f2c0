import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { startListener, type Listener } from '../../src/db/listen.ts';
import { ClockStepError } from '../../src/db/errors.ts';
import { acquireLock, type HeldLock, type LockName } from '../../src/db/lock.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { migrate } from '../../src/db/migrate.ts';
import { Framer } from '../faults/suite/wire/messages.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { systemClock } from '../../src/telemetry.ts';
import { silentLogger } from '../support/installation.ts';

let database: DatabaseOptions;
let listener: Listener;
let pool: Pool;
const never = new AbortController().signal;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  database = { url, schema: 'muster', name: 'lock' };
  listener = startListener(database, { logger: silentLogger(), random: () => 0 });
  pool = createPool(database, { role: 'test', max: 2, statementMs: 5_000 });
});
afterAll(async () => {
  await listener.stop();
  await pool.end();
});

const acquire = (
  name: LockName = 'leader',
  at = database,
  signal = never,
  clock = systemClock,
): Promise<HeldLock> =>
  acquireLock(
    { database: at, name, listener, logger: silentLogger(), random: () => 0.5, clock },
    signal,
  );

const sessions = (role: string): Promise<{ pid: number }[]> =>
  pool.run(
    (sql) => sql<{ pid: number }[]>`SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = ${`lock:${role}`}`,
  );

it('is held by one at a time, per name and per installation', async () => {
  const held = await acquire();
  const workers = await acquire('workers');
  const other = { ...database, schema: 'muster_two' };
  await migrate(other);
  const elsewhere = await acquire('leader', other);
  let second: HeldLock | null = null;
  const waiting = acquire().then((lock) => (second = lock));
  await eventually(async () => (await sessions('leader-lock')).length).toBe(3);
  expect(second).toBeNull();
  await held.release();
  const next = await waiting;
  for (const lock of [next, workers, elsewhere]) await lock.release();
});

it('a clean release wakes a waiter at once', async () => {
  // One attempt at the most 50 ms after the previous; without the wake it would be up to 250 ms: the median tells.
  const took: number[] = [];
  let held = await acquire();
  for (let turn = 0; turn < 5; turn += 1) {
    const waiting = acquire();
    await eventually(async () => (await sessions('leader-lock')).length).toBe(2);
    await eventually(() => listener.connected).toBe(true);
    const from = performance.now();
    await held.release();
    held = await waiting;
    took.push(performance.now() - from);
  }
  expect(took.sort((a, b) => a - b)[2]).toBeLessThan(100);
  await held.release();
});

it('says so when its session dies, and another gets it', async () => {
  const held = await acquire();
  const waiting = acquire();
  const [first] = await sessions('leader-lock');
  await pool.run((sql) => sql`SELECT pg_terminate_backend(${first?.pid ?? 0})`);
  await eventually(() => held.lost.aborted).toBe(true);
  const next = await waiting;
  expect(next.lost.aborted).toBe(false);
  await held.release();
  await next.release();
});

it("is given up at a step of the server's clock, and let go of cleanly; a step while it is waited for is nobody's", async () => {
  const own = { steps: 0 };
  const clock = { ...systemClock, monotonic: () => performance.now() - own.steps * 60_000 };
  const held = await acquire('leader', database, never, clock);
  const before = held.now();
  const waiting = acquire('leader', database, never, clock);
  await eventually(async () => (await sessions('leader-lock')).length).toBe(2);
  own.steps = 1;
  await eventually(() => held.lost.aborted).toBe(true);
  expect(held.lost.reason).toEqual(new ClockStepError(60));
  await held.release();
  const next = await waiting;
  expect(next.now() - before).toBeGreaterThan(0);
  expect(next.now() - before).toBeLessThan(30_000);
  expect(next.lost.aborted).toBe(false);
  await next.release();
});

it('waiting ends with the signal', async () => {
  const held = await acquire();
  const stop = new AbortController();
  const waiting = acquire('leader', database, stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await held.release();
  const again = await acquire();
  expect(again.lost.aborted).toBe(false);
  await again.release();
});

it('a session never runs anything on another backend', async () => {
  const session = await openSession(database, { role: 'one', settings: {}, deadlineMs: 2_000 });
  const pids: number[] = [];
  const hammer = async (): Promise<void> => {
    for (;;) {
      const [row] = await session.run(
        (sql) => sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`,
      );
      pids.push(row?.pid ?? 0);
    }
  };
  const hammering = Promise.allSettled([hammer(), hammer(), hammer()]);
  await eventually(() => pids.length).toBeGreaterThan(100);
  await pool.run((sql) => sql`SELECT pg_terminate_backend(${session.pid})`);
  await hammering;
  // A reset socket fails its statements a tick before it is closed.
  await eventually(() => session.open).toBe(false);
  expect(new Set(pids)).toEqual(new Set([session.pid]));
  await expect(session.run((sql) => sql`SELECT 1`)).rejects.toThrow('is over');
});

it('a missed deadline ends a session', async () => {
  const session = await openSession(database, { role: 'slow', settings: {}, deadlineMs: 2_000 });
  await expect(session.run((sql) => sql`SELECT pg_sleep(5)`, 50)).rejects.toThrow('within 50 ms');
  expect(session.open).toBe(false);
});

/** As a pooler in session mode does that is told to ignore startup parameters. */
async function startForgetful(url: string): Promise<{ port: number; close(): void }> {
  const real = new URL(url);
  const kept = ['user', 'database', 'application_name', 'client_encoding', 'search_path'];
  const server = net.createServer((client) => {
    const behind = net.connect(Number(real.port), real.hostname);
    const framer = new Framer(true);
    behind.on('error', () => undefined).pipe(client);
    client.on('error', () => undefined).on('close', () => behind.destroy());
    client.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of framer.push(chunk)) {
        behind.write(type === '' ? forget(bytes, kept) : bytes);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return { port, close: () => void server.close() };
}

/** The startup packet: length, version, then names and values, each ended by a zero. */
function forget(packet: Buffer, kept: readonly string[]): Buffer {
  const words = packet.toString('utf8', 8).split('\0');
  const left = words.flatMap((name, at) =>
    at % 2 === 0 && kept.includes(name) ? [name, words[at + 1] ?? ''] : [],
  );
  const body = Buffer.from([...left, '', ''].join('\0'));
  const head = Buffer.from(packet.subarray(0, 8));
  head.writeInt32BE(head.length + body.length);
  return Buffer.concat([head, body]);
}

it('is not asked for where something in between drops the settings that end a frozen owner', async () => {
  const forgetful = await startForgetful(database.url);
  const url = new URL(database.url);
  url.port = String(forgetful.port);
  const said: string[] = [];
  const gone = new AbortController();
  const logger = { ...silentLogger(), warn: (facts: unknown) => said.push(JSON.stringify(facts)) };
  const onFailure = () => setImmediate(() => gone.abort());
  const behind = { ...database, url: url.href };
  const common = { listener, logger, random: () => 0, clock: systemClock };
  const asked = { ...common, database: behind, name: 'leader' } as const;
  const lock = await acquireLock({ ...asked, onFailure }, gone.signal).catch(() => null);
  await lock?.release();
  forgetful.close();
  expect(lock).toBeNull();
  expect(said.join()).toMatch(
    /settings of its sessions.*pooler.*give the URL of PostgreSQL itself/,
  );
});

it('nor is anything migrated there', async () => {
  const forgetful = await startForgetful(database.url);
  const url = Object.assign(new URL(database.url), { port: String(forgetful.port) });
  const elsewhere = { ...database, url: url.href, schema: 'elsewhere' };
  await expect(migrate(elsewhere)).rejects.toThrow(/pooler.*give the URL of PostgreSQL itself/);
  forgetful.close();
  const made = await pool.run(
    (sql) => sql`SELECT FROM pg_namespace WHERE nspname LIKE 'elsewhere%'`,
  );
  expect(made).toHaveLength(0);
});

it('says which setting to look at when its own server does not answer', async () => {
  const said: string[] = [];
  const gone = new AbortController();
  const logger = { ...silentLogger(), warn: (facts: unknown) => said.push(JSON.stringify(facts)) };
  const nowhere = { url: 'postgres://u@127.0.0.1:1/d', schema: 'muster', name: 'lock' };
  const database = { ...nowhere, variable: 'MUSTER_LEADER_DATABASE_URL' } as const;
  const onFailure = () => setImmediate(() => gone.abort());
  const common = { listener, logger, random: () => 0, clock: systemClock };
  const asked = { ...common, database, name: 'leader', onFailure } as const;
  await expect(acquireLock(asked, gone.signal)).rejects.toThrow();
  expect(said.join()).toContain('start PostgreSQL, or correct MUSTER_LEADER_DATABASE_URL');
});
