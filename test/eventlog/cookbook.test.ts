/**
 * Every query of the cookbook runs, as the read-only role, on the story of cookbook/story.txt, and answers as
 * cookbook/answers.json says. UPDATE_ANSWERS=1 writes that file: read its diff against the story.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';
import { seed } from './support/seed.ts';

const HERE = path.join(import.meta.dirname, 'cookbook');
const ANSWERS = path.join(HERE, 'answers.json');
const TEXT = readFileSync(path.join(import.meta.dirname, '../../docs/sql-cookbook.md'), 'utf8');

const recipes = TEXT.split(/^### /m)
  .slice(1)
  .flatMap((part) => {
    const question = part.slice(0, part.indexOf('\n'));
    const query = /^```sql\n([^]*?)^```/m.exec(part)?.[1];
    return query === undefined ? [] : [{ question, query }];
  });

let database: RoleDatabase;
let pool: Pool;
let admin: Pool;
const answers: Record<string, string[]> = {};

beforeAll(async () => {
  database = await createRoleDatabase();
  const options = { role: 'test', max: 1, statementMs: 10_000 };
  admin = createPool({ url: database.url, schema: 'muster', name: 'test' }, options);
  await seed(
    (statements) => admin.run(statements),
    readFileSync(path.join(HERE, 'story.txt'), 'utf8'),
  );
  pool = createPool({ url: database.as('readonly'), schema: 'public', name: 'test' }, options);
});
afterAll(async () => {
  if (process.env['UPDATE_ANSWERS'] === '1') {
    writeFileSync(ANSWERS, `${JSON.stringify(answers, null, 2)}\n`);
  }
  await admin.end();
  await pool.end();
  await database.drop();
});

/** One line a row; what depends on the clock of this machine is left out. */
function line(row: Readonly<Record<string, unknown>>): string {
  return Object.entries(row)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

it('has at least twenty questions', () => {
  expect(recipes.length).toBeGreaterThanOrEqual(20);
  expect(new Set(recipes.map(({ question }) => question)).size).toBe(recipes.length);
});

it.each(recipes)('$question', async ({ question, query }) => {
  const rows = await pool.run((sql) => sql.unsafe<Record<string, unknown>[]>(query));
  answers[question] = rows.map(line);
  if (process.env['UPDATE_ANSWERS'] === '1') return;
  const known = JSON.parse(readFileSync(ANSWERS, 'utf8')) as Record<string, string[]>;
  expect(answers[question]).toEqual(known[question]);
});

it('would have found a grant beyond a budget', async () => {
  const query = recipes.find(({ question }) => question.startsWith('Was a dispatch ever granted'));
  await admin.run(
    (sql) => sql`UPDATE rollout
      SET plan = replace(plan::text, '"maxInFlight":2', '"maxInFlight":1')::json`,
  );
  const rows = await pool.run((sql) => sql.unsafe<{ seq: number }[]>(query?.query ?? ''));
  // db2 beside db1, web1 while db2 soaks, web3 beside web2, db2 beside db1, and again after its absence …
  expect(rows.map(({ seq }) => seq)).toEqual([16, 31, 44, 66, 121, 136, 148]);
});

it('would have found a grant beyond a share of hosts', async () => {
  const query = recipes.find(({ question }) => question.startsWith('Was a dispatch ever granted'));
  await admin.run(
    (sql) => sql`UPDATE rollout SET plan = replace(
        regexp_replace(plan::text, '"maxInFlight":[0-9]+', '"maxInFlight":null'),
        '"maxInFlightPct":null', '"maxInFlightPct":39')::json`,
  );
  // 39 % of five hosts is one: the same as above.
  const rows = await pool.run((sql) => sql.unsafe<{ seq: number }[]>(query?.query ?? ''));
  expect(rows.map(({ seq }) => seq)).toEqual([16, 31, 44, 66, 121, 136, 148]);
});

it('knows that a grant ends what held a host', async () => {
  const { query = '' } =
    recipes.find(({ question }) => question.startsWith('What held this')) ?? {};
  const other = query.replace('web3', 'web2').replace('stable@2', 'stable@1');
  const held = await pool.run((sql) => sql.unsafe<Record<string, unknown>[]>(other));
  const [grant] = await pool.run(
    (sql) => sql<{ ts: string }[]>`SELECT ts FROM muster_v1.events WHERE host = 'web2'
      AND rollout_id = 'stable@1' AND payload->>'action' = 'QueueDispatch'`,
  );
  expect(grant?.ts).toBe('2026-05-16T00:12:17.000Z');
  const since = '2026-05-16T00:00:03.000Z';
  expect(held).toEqual([{ what: 'held by wave-promotion:1', since, held_for: '00:12:14' }]);
});

/** Of another story: what the queries made of it once, and should not have. */
async function another(story: string) {
  const { url } = await createTestDatabase();
  const own = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'test', max: 1, statementMs: 10_000 },
  );
  await seed((statements) => own.run(statements), story);
  const ask = (beginning: string) => {
    const { query = '' } = recipes.find(({ question }) => question.startsWith(beginning)) ?? {};
    return own.run((sql) => sql.unsafe<Record<string, unknown>[]>(query));
  };
  return { own, ask };
}

it('frees the slot of a host that waits for its reboot, and knows a first failure by its row', async () => {
  const { own, ask } = await another(`
channel stable
wave stable d1 d2
channel base
wave base b1
budget all max=1
takeover
heartbeat * c0
declare 1
event b1 ack
event b1 deferred
event d1 ack
event d1 completed
event d1 probe health fail
heartbeat b1 c1
event b1 probe health fail
event b1 converged
wait 6m
event d1 converged
`);
  const [{ grants } = { grants: 0 }] = await own.run(
    (sql) => sql<{ grants: number }[]>`
      SELECT count(*)::int AS grants FROM muster_v1.events WHERE payload->>'action' = 'QueueDispatch'`,
  );
  expect(grants).toBe(2);
  expect(await ask('Was a dispatch ever granted')).toEqual([]);
  expect(await ask('Which probes failed')).toMatchObject([{ failures: 2, first_in: 'stable@1' }]);
  await own.end();
});

it('counts a wave that settles again once, and knows of a pause of the whole fleet', async () => {
  const { own, ask } = await another(`
channel stable rollback
wave stable web1
wave stable web2 lap1
takeover
heartbeat web1 c0
heartbeat web2 c0
declare 1
event web1 ack
event web1 completed
event web1 converged
event web2 ack
event web2 completed
event web2 converged
wait 16m
heartbeat lap1 c0
event lap1 ack
event lap1 activation-failed
event lap1 rolled-back
operator pause
wait 1m
operator clear stable@1
operator pause stable
wait 1m
operator resume
operator resume stable
`);
  const settled = await own.run(
    (sql) => sql`SELECT seq FROM event_log WHERE payload->>'event' = 'AllSettled'`,
  );
  expect(settled).toHaveLength(2);
  const waves = await ask('How long did each wave');
  expect(waves.map(({ wave }) => wave)).toEqual([0, 1]);
  const pauses = await ask('How long was each channel paused');
  expect(pauses).toMatchObject([
    { channel: 'the whole fleet', paused_for: expect.stringMatching(/^00:02:0/) as string },
    { channel: 'stable', paused_for: expect.stringMatching(/^00:01:0/) as string },
  ]);
  await own.end();
});
