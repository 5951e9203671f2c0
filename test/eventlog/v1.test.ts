/** The schema of views: complete, commented, correct on scenarios, and open to the read-only role. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { sinceOf } from '../../src/reducer/state/blocker-since.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';
import { LOG_KINDS } from '../../src/wire/log-event.ts';
import { createTestDatabase } from '../support/database.ts';
import { seed } from './support/seed.ts';

const SCENARIOS = path.join(import.meta.dirname, '../reducer/scenarios');
const pools: Pool[] = [];

function open(url: string): Pool {
  const database = { url, schema: 'muster', name: 'test' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 20_000 });
  pools.push(pool);
  return pool;
}
afterAll(() => Promise.all(pools.map((pool) => pool.end())));

async function ask(pool: Pool, text: string): Promise<Record<string, unknown>[]> {
  return [...(await pool.run((sql) => sql.unsafe<Record<string, unknown>[]>(text)))];
}

async function column(pool: Pool, text: string): Promise<unknown[]> {
  return (await ask(pool, text)).flatMap((row) => Object.values(row));
}

describe('the catalog', () => {
  it('has a comment on every table, column, view and function', async () => {
    const pool = open((await createTestDatabase()).url);
    const silent = await column(
      pool,
      `SELECT n.nspname || '.' || c.relname || coalesce('.' || a.attname, '')
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN LATERAL (SELECT attname, attnum FROM pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
         UNION ALL SELECT NULL, 0) a ON true
       WHERE n.nspname IN ('muster', 'muster_v1') AND c.relkind IN ('r', 'p', 'v')
         AND coalesce(col_description(c.oid, a.attnum), CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class') END) IS NULL
       UNION ALL
       SELECT p.oid::regprocedure::text FROM pg_proc p
       WHERE p.pronamespace IN ('muster'::regnamespace, 'muster_v1'::regnamespace)
         AND obj_description(p.oid, 'pg_proc') IS NULL
       ORDER BY 1`,
    );
    expect(silent).toEqual([]);
  });
});

it('compiles nothing just in time: what it takes would be seconds for each call', async () => {
  const pool = open((await createTestDatabase()).url);
  const without = await column(
    pool,
    `SELECT proname::text FROM pg_proc WHERE pronamespace = 'muster_v1'::regnamespace
     AND 'jit=off' = ANY (proconfig) ORDER BY 1`,
  );
  expect(without).toEqual(['causes', 'host_history', 'record_changes', 'state_at', 'timeline']);
});

describe('the read-only role', () => {
  let database: RoleDatabase;
  beforeAll(async () => {
    database = await createRoleDatabase();
  });
  afterAll(() => database.drop());

  it('reads every view and calls every function', async () => {
    const pool = open(database.as('readonly'));
    const views = await column(
      pool,
      `SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'muster_v1'::regnamespace AND c.relkind = 'v'`,
    );
    expect(views.length).toBeGreaterThan(10);
    for (const view of views) await ask(pool, `SELECT * FROM muster_v1.${String(view)}`);
    for (const call of [
      `timeline('stable@1')`,
      `host_history('web1')`,
      `causes(7)`,
      `state_at(7, 'stable@1')`,
      `record_changes('stable@1', 7)`,
      `verify_chain()`,
    ])
      await ask(pool, `SELECT * FROM muster_v1.${call}`);
    await pool.end();
    pools.splice(pools.indexOf(pool), 1);
  });
});

describe('describe', () => {
  it('says of every kind of row what it is about', async () => {
    const pool = open((await createTestDatabase()).url);
    await seed(
      (run) => pool.run(run),
      readFileSync(path.join(SCENARIOS, '71-enrolment.txt'), 'utf8'),
    );
    const said = await column(
      pool,
      `SELECT muster_v1.describe(kind, payload) FROM event_log WHERE kind = 'enrolment' ORDER BY seq`,
    );
    expect(said.slice(0, 2)).toEqual([
      'enrolled, certificate 01000 until 2026-06-15T00:00:01.000Z',
      'asks for another certificate, refused: nonce-used',
    ]);
    expect(said).toContain('enrolment refused: fingerprint-mismatch');
    expect(said).toContain('renewed, certificate 020000 until 2026-06-15T00:00:20.000Z');
    expect(said.at(-1)).toBe('forgets 2 expired nonces');
    // A kind that has no words of its own is shown by its name.
    const names = await column(
      pool,
      `SELECT kind FROM unnest('{${LOG_KINDS.join()}}'::text[]) AS kind
       WHERE muster_v1.describe(kind, '{"event":"x"}') = kind`,
    );
    expect(names).toEqual([]);
  });
});

describe('verify_chain', () => {
  const scenario = readFileSync(path.join(SCENARIOS, '03-waves.txt'), 'utf8');

  it('finds the first row that does not follow, in any range, and a gap', async () => {
    const pool = open((await createTestDatabase()).url);
    const { state } = await seed((statements) => pool.run(statements), scenario);
    const chain = (args: string) => column(pool, `SELECT muster_v1.verify_chain(${args}) AS bad`);
    const tamper = (text: string) =>
      ask(pool, `ALTER TABLE event_log DISABLE TRIGGER ALL; ${text}`);
    expect(state.headSeq).toBeGreaterThan(20);
    expect(await chain('')).toEqual([null]);
    expect(await chain('5, 9')).toEqual([null]);
    await tamper(`UPDATE event_log SET payload = (payload::text || ' ')::json WHERE seq = 8`);
    expect(await chain('')).toEqual([8]);
    expect(await chain('1, 7')).toEqual([null]);
    expect(await chain('9, 12')).toEqual([null]);
    expect(await chain('2, 8')).toEqual([8]);
    await tamper(`UPDATE event_log SET payload = trim(payload::text)::json WHERE seq = 8`);
    for (const set of [`actor = 'x'`, `caused_by = 1`, `ts = ts + interval '1 ms'`, `epoch = 9`]) {
      await tamper(`UPDATE event_log SET ${set} WHERE seq = 6`);
      expect([set, await chain('')]).toEqual([set, [6]]);
      await ask(pool, 'DELETE FROM event_log');
      const clean = open((await createTestDatabase()).url);
      await seed((statements) => clean.run(statements), scenario);
      const rows = await ask(clean, 'SELECT to_json(l)::text AS row FROM event_log l ORDER BY seq');
      for (const { row } of rows) {
        await pool.run(
          (sql) => sql`INSERT INTO event_log
            SELECT * FROM json_populate_record(null::event_log, ${String(row)}::text::json)`,
        );
      }
      expect(await chain('')).toEqual([null]);
    }
    await tamper('DELETE FROM event_log WHERE seq = 6');
    expect(await chain('')).toEqual([6]);
    expect(await chain('7')).toEqual([7]);
    await tamper('DELETE FROM event_log WHERE seq < 9');
    const notes = await column(
      pool,
      `SELECT DISTINCT cause_note FROM muster_v1.events WHERE caused_by < 9`,
    );
    expect(notes).toEqual(['before retention']);
    expect(
      await column(pool, `SELECT cause_note FROM muster_v1.events WHERE caused_by > 9`),
    ).toContain(null);
  });

  it('misses what the asked range lacks, at its end and before its beginning', async () => {
    const pool = open((await createTestDatabase()).url);
    const chain = (args: string) => column(pool, `SELECT muster_v1.verify_chain(${args}) AS bad`);
    const remove = (which: string) =>
      ask(pool, `ALTER TABLE event_log DISABLE TRIGGER ALL; DELETE FROM event_log WHERE ${which}`);
    expect(await chain('')).toEqual([null]); // nothing was ever logged
    expect(await chain('1, 3')).toEqual([1]);
    const { state } = await seed((statements) => pool.run(statements), scenario);
    const head = state.headSeq;
    expect(await chain(`1, ${String(head)}`)).toEqual([null]);
    expect(await chain(String(head + 1))).toEqual([null]); // nothing since
    expect(await chain(`1, ${String(head + 5)}`)).toEqual([head + 1]);
    expect(await chain('9, 8')).toEqual([null]);
    await remove('seq = 15');
    expect(await chain('10, 15')).toEqual([15]);
    expect(await chain('15, 15')).toEqual([15]);
    expect(await chain('10, 14')).toEqual([null]);
    await remove('seq > 14');
    expect(await chain('')).toEqual([null]); // only a checkpoint tells
    expect(await chain(`1, ${String(head)}`)).toEqual([15]);
    expect(await chain(String(head + 1))).toEqual([head + 1]);
    expect(await chain('20, 30')).toEqual([20]);
    await remove('seq < 4');
    expect(await chain('')).toEqual([1]);
    expect(await chain('3, 9')).toEqual([3]);
    expect(await chain('4, 9')).toEqual([4]); // nothing shows that it follows
  });

  it('reads detached tables while they are there', async () => {
    const pool = open((await createTestDatabase()).url);
    await seed((statements) => pool.run(statements), scenario);
    const chain = (args: string) => column(pool, `SELECT muster_v1.verify_chain(${args}) AS bad`);
    await ask(pool, 'ALTER TABLE event_log DISABLE TRIGGER ALL');
    for (const last of [5, 12])
      await ask(
        pool,
        `CREATE TABLE d${String(last)} AS SELECT * FROM event_log WHERE seq <= ${String(last)};
         INSERT INTO log_detached SELECT 'd${String(last)}', min(seq), max(seq), min(ts), max(ts), sha256('a'),
           (SELECT hash FROM event_log WHERE seq = ${String(last)}) FROM d${String(last)};
         DELETE FROM event_log WHERE seq <= ${String(last)}`,
      );
    const whole = ['', '1, 3', '5, 6', '6, 14', '3, 20', '13', '12, 12'];
    for (const asked of whole) expect([asked, await chain(asked)]).toEqual([asked, [null]]);
    await ask(pool, `UPDATE d5 SET actor = 'eve' WHERE seq = 4`);
    const found = { '': 4, '1, 3': null, '1, 4': 4, '5': null, '4, 20': 4 };
    for (const [asked, bad] of Object.entries(found))
      expect([asked, await chain(asked)]).toEqual([asked, [bad]]);
    await ask(pool, 'DELETE FROM d12 WHERE seq = 12; DELETE FROM d5 WHERE seq > 4');
    for (const [asked, bad] of Object.entries({ '5': 5, '6': 6, '8': 12, '8, 12': 12, '13': 13 }))
      expect([asked, await chain(asked)]).toEqual([asked, [bad]]);
    await ask(pool, 'DROP TABLE d5');
    expect(await chain('1, 11')).toEqual([null]);
    await expect(chain('1, 5')).rejects.toThrow('rows up to 5 were detached and dropped');
  });

  it('passes detached rows over, and never says that all of them are well', async () => {
    const pool = open((await createTestDatabase()).url);
    await seed((statements) => pool.run(statements), scenario);
    const chain = (args: string) => column(pool, `SELECT muster_v1.verify_chain(${args}) AS bad`);
    await ask(
      pool,
      `ALTER TABLE event_log DISABLE TRIGGER ALL;
       INSERT INTO log_detached SELECT 'p', 1, seq, ts, ts, sha256('a'), hash FROM event_log WHERE seq = 5;
       DELETE FROM event_log WHERE seq <= 5`,
    );
    for (const asked of ['', '1, 9', '5, 9', '6']) expect(await chain(asked)).toEqual([null]);
    for (const asked of ['1, 5', '2, 3'])
      await expect(chain(asked)).rejects.toThrow('rows up to 5 were detached and dropped');
    await ask(pool, 'DELETE FROM event_log WHERE seq = 6');
    expect(await chain('')).toEqual([6]);
    await ask(pool, 'DELETE FROM event_log WHERE seq = 7');
    expect(await chain('2, 7')).toEqual([6]);
    await ask(pool, 'DELETE FROM event_log');
    expect(await chain('')).toEqual([null]);
    expect(await chain('1, 9')).toEqual([6]);
  });
});

describe('state_at', () => {
  it.each(readdirSync(SCENARIOS).filter((name) => /^(03|05|07|10|20|27|30|33|49)-/.test(name)))(
    'is the tables, at the head of %s',
    async (name) => {
      const pool = open((await createTestDatabase()).url);
      const text = readFileSync(path.join(SCENARIOS, name), 'utf8');
      const { state } = await seed((statements) => pool.run(statements), text);
      const rollouts = await column(pool, `SELECT rollout_id FROM rollout WHERE state <> 'Pruned'`);
      expect(rollouts.length).toBeGreaterThan(0);
      for (const id of rollouts) {
        const folded = await ask(
          pool,
          `SELECT host, wave, state, target_closure, current_closure, closed, dispatched_at, acked_at,
             soak_due_at, converged_at, failed_at, reverted_at, last_event_seq
           FROM muster_v1.state_at(${String(state.headSeq)}, '${String(id)}') ORDER BY host`,
        );
        const tables = await ask(
          pool,
          `SELECT host, wave, state, target_closure, current_closure, closed, dispatched_at, acked_at,
             soak_due_at, converged_at, failed_at, reverted_at, last_event_seq
           FROM muster_v1.host_rollouts WHERE rollout_id = '${String(id)}' ORDER BY host`,
        );
        expect(folded).toEqual(tables);
      }
    },
  );
});

describe('blocked_hosts', () => {
  it('says of each gate since when, as the rows of the core do', async () => {
    const pool = open((await createTestDatabase()).url);
    const text = readFileSync(path.join(SCENARIOS, '72-since-when.txt'), 'utf8');
    const { state } = await seed((statements) => pool.run(statements), text);
    const held = [...state.live.values()].flatMap(({ blockers, dispatches }) => [
      ...[...blockers.values()].flatMap((row) =>
        row.gates.map((gate) => [gate, sinceOf(row, gate)]),
      ),
      ...[...dispatches.values()].map((row) => ['dispatch-unacknowledged', row.enqueuedAt]),
    ]);
    expect(new Set(held.map(([, since]) => since)).size).toBeGreaterThan(1);
    const found = await ask(pool, 'SELECT gate, since FROM muster_v1.blocked_hosts ORDER BY gate');
    expect(found.map(({ gate, since }) => [gate, since])).toEqual(held.sort());
  });
});

describe('what the log holds', () => {
  const story = readFileSync(path.join(import.meta.dirname, 'cookbook/story.txt'), 'utf8');

  async function told(text: string): Promise<{ pool: Pool; answers: unknown[] }> {
    const pool = open((await createTestDatabase()).url);
    await seed((statements) => pool.run(statements), text);
    const questions = ['db1', 'web1', 'web2', 'web3'].map(
      (host) =>
        `SELECT seq, kind, what FROM muster_v1.host_history('${host}') WHERE seq <= (
           SELECT min(seq) - 1 FROM (SELECT seq FROM event_log WHERE payload->>'event' = 'RetentionExpired'
             UNION ALL SELECT max(seq) + 1 FROM event_log) f)`,
    );
    const budgets =
      'SELECT rollout_id, budget, host, most FROM muster_v1.budgets ORDER BY rollout_id, budget, host';
    const answers = [];
    for (const question of [...questions, budgets]) answers.push(await ask(pool, question));
    return { pool, answers };
  }

  // web2 and web3 have no row of their own in the first rollout.
  const short = `channel stable
wave stable web1
wave stable web2 web3
takeover
heartbeat * c0
declare 1
declare 2`;

  it.each([
    ['a story', story, ['stable@1', 'stable@2', 'base@1', 'base@2']],
    ['hosts that were only held in it', short, ['stable@1']],
  ])('is told of a rollout that was pruned, too: %s', async (_, text, gone) => {
    const before = await told(text);
    const after = await told(`${text}\n${gone.map((id) => `retire ${id}`).join('\n')}`);
    const pruned = await column(
      after.pool,
      `SELECT rollout_id FROM rollout WHERE state = 'Pruned' ORDER BY 1`,
    );
    expect(pruned.length).toBeGreaterThan(0);
    expect(await column(after.pool, 'SELECT count(*)::int FROM host_rollout')).not.toEqual(
      await column(before.pool, 'SELECT count(*)::int FROM host_rollout'),
    );
    expect(after.answers).toEqual(before.answers);
  });

  it('is told of a host that a command about its rollout changed', async () => {
    const pool = open((await createTestDatabase()).url);
    const text = readFileSync(path.join(SCENARIOS, '49-clear.txt'), 'utf8');
    await seed((statements) => pool.run(statements), text);
    const kinds = (host: string) =>
      column(
        pool,
        `SELECT count(*)::int FROM muster_v1.host_history('${host}')
         WHERE payload->'command'->>'command' = 'ClearRollout'`,
      );
    expect([await kinds('web1'), await kinds('web3')]).toEqual([[1], [0]]);
  });
});
