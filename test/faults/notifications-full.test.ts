/** The server's queue of notifications is full, so that no transaction that notifies commits: trouble that passes. */
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { databaseTrouble } from '../../src/db/errors.ts';
import { run } from '../cli/support.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { heartbeat, PAUSE } from '../support/small-fleet.ts';
import { BenchDatabase } from './suite/bench/database.ts';
import { mute, SMALL_QUEUE, type Mute } from './support/mute.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const AWAY = { status: 'unavailable', why: 'database-away' };

async function start(): Promise<BenchDatabase> {
  const database = await BenchDatabase.start(path.join(makeScratchDir('mute'), 'pg'), SMALL_QUEUE);
  undo.push(() => database.close());
  await database.migrate();
  return database;
}

function join(database: BenchDatabase, name: string): Replica {
  const replica = startReplica(database.url.href, name);
  undo.push(() => replica.stop());
  return replica;
}

async function silence(database: BenchDatabase): Promise<Mute> {
  const held = await mute(database);
  undo.push(() => held.release());
  return held;
}

const report = (replica: Replica, host: string, waitMs: number) =>
  replica.submitter.submit(heartbeat(host), { waitMs });

it('nothing is taken, nothing is set aside, and it goes on when whoever held it has gone', async () => {
  const database = await start();
  const [a, b] = [join(database, 'a'), join(database, 'b')];
  const { epoch } = await a.lead();
  expect(await report(a, 'h1', 10_000)).toMatchObject({ status: 'judged' });
  const held = await silence(database);
  const hosts = ['h2', 'h3', 'h4'];
  const answers = await Promise.all(hosts.map((host) => report(b, host, 0)));
  for (const answer of answers) expect(answer).toMatchObject(AWAY);
  const command = { key: 'k1', input: PAUSE, secret: null };
  expect(await b.submitter.submitKeyed(command, { waitMs: 0 })).toMatchObject(AWAY);
  expect(b.log.join('\n')).toMatch(/an input was not stored .*54000: .*muster doctor.*names/);
  expect(await b.submitter.obstacle()).toMatchObject({ why: 'database' });
  // As of one that was taken just before: the leader cannot commit it either.
  await database.sql`INSERT INTO input_queue (kind, hostname, payload)
    VALUES ('Tick', NULL, '{"kind":"Tick"}')`;
  await eventually(() => a.log.join('\n')).toMatch(/no longer leading .*54000: .*muster doctor/);
  await held.release();
  await eventually(async () => (await report(b, 'h2', 1_000)).status).toBe('judged');
  await eventually(() => b.submitter.obstacle()).toBeNull();
  expect(await database.sql`SELECT FROM dead_input`).toHaveLength(0);
  expect(await database.sql`SELECT FROM input_queue`).toHaveLength(0);
  expect(a.leader.term?.epoch).toBeGreaterThan(epoch);
  expect(a.log.filter((line) => line.includes('set aside'))).toEqual([]);
});

it('a replica that nobody asks is ready again by itself', async () => {
  const database = await start();
  const a = join(database, 'a');
  const held = await silence(database);
  expect(await report(a, 'h1', 0)).toMatchObject(AWAY);
  const said = await a.submitter.obstacle();
  if (said?.why !== 'database') throw new Error('no obstacle');
  expect(databaseTrouble(said.error)).toMatch(/^the database takes no notifications \(54000\): /);
  await held.release();
  await eventually(() => a.submitter.obstacle()).toBeNull();
  expect(await report(a, 'h1', 0)).toEqual({ status: 'queued' });
});

it('whoever begins to listen meanwhile leaves no sessions behind, and listens in the end', async () => {
  const database = await start();
  const held = await silence(database);
  const a = join(database, 'a');
  await eventually(() => a.log.join('\n')).toMatch(/not listening .*54000/);
  const sessions = () => database.sql`
    SELECT FROM pg_stat_activity WHERE application_name = 'a:listen'`;
  for (let i = 0; i < 50; i += 1) expect((await sessions()).length).toBeLessThan(3);
  expect(a.log.filter((line) => line.startsWith('not listening'))).toHaveLength(1);
  await held.release();
  await a.lead();
  expect(await report(a, 'h1', 10_000)).toMatchObject({ status: 'judged' });
});

it('the doctor names the session that holds it', async () => {
  const database = await start();
  const held = await silence(database);
  const ask = () => run(doctor, '--database-url', database.url.href, '--schema', 'muster');
  const ill = await ask();
  expect([ill.code, ill.stdout]).toEqual([
    1,
    expect.stringMatching(
      new RegExp(`wrong: notification-queue: .*100 % full.* session ${held.pid} .*postgres`),
    ),
  ]);
  await held.release();
  expect(await ask()).toMatchObject({ code: 0 });
});
