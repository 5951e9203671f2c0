import { describe, expect, it } from 'vitest';
import postgres from 'postgres';
import { diagnose, type Found } from '../../src/cli/doctor-rules.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { readFacts } from '../../src/db/doctor.ts';
import { readHorizon } from '../../src/db/measure.ts';
import { COLUMNS } from '../../src/db/shape.ts';
import { openSession } from '../../src/db/session.ts';
import { createTestDatabase } from '../support/database.ts';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { run } from './support.ts';

const ALL = { serves: true, leads: true, lacksToServe: [], lacksToLead: [], veiled: [] };
const PSQL = { pid: 9, application: 'psql' };
const OURS = { pid: 10, application: 'muster-a:lock' };
const WHOLE = { missing: [], unlogged: [], unvacuumed: [], lost: [], strange: [] };
const WELL: Found = {
  ...{ version: 180_004, recovering: false, backendPid: 7, greetedByPid: 7 },
  ...{ clockAheadMs: 20, roundTripMs: 1, horizon: { transactions: 1, seconds: 0, whose: null } },
  ...{ fsync: true, synchronousCommit: 'on', synchronousStandbys: 'b', encoding: 'UTF8' },
  ...{
    rooms: [{ of: 'server', limit: 100, taken: 10 }],
    uncallable: [],
    marks: true,
    seesOthers: true,
    schemaProblem: null,
  },
  ...{
    logProblem: null,
    logEnd: null,
    logAhead: 0,
    shape: WHOLE,
  },
  ...{
    confirmingStandbys: 1,
    schemaUsable: true,
    rights: ALL,
    locks: { leader: null, workers: null },
    waits: 0,
    readOnly: false,
    leaderUrl: null,
  },
  ...{ untouchable: [], tracks: true, fullPages: true, transactionMs: 0, vacuums: true },
  ...{
    keepsSession: true,
    dropsSettings: null,
    inTheWay: [],
    hears: true,
    notifications: { held: 0.01, holder: null },
  },
};

const checksOf = (facts: Found): string[] =>
  diagnose(facts).map(({ level, check }) => `${level} ${check}`);

describe('what the doctor says', () => {
  it('is nothing where nothing is wrong', () => {
    expect(diagnose(WELL)).toEqual([]);
    expect(diagnose({ ...WELL, rights: null })).toEqual([]);
  });

  it.each<[string, Partial<Found>]>([
    ['wrong pooler', { greetedByPid: 8 }],
    ['wrong pooler', { greetedByPid: 8, schemaProblem: 'the schema is at version none' }],
    ['wrong pooler', { keepsSession: false, hears: null }],
    ['wrong notifications', { hears: false }],
    ['wrong standby', { recovering: true }],
    ['wrong version', { version: 140_012 }],
    ['wrong schema', { schemaProblem: 'run "muster migrate"' }],
    ['wrong append-only', { logProblem: 'the event log can be changed' }],
    ['wrong log', { logEnd: 'the log ends at row 1, and rows up to 2 were committed' }],
    ['warning log-ahead', { logAhead: 61 }],
    ['warning signals', { untouchable: ['app_b'] }],
    ['warning activities', { tracks: false }],
    ['warning transaction-timeout', { transactionMs: 2_000 }],
    ['warning full-page-writes', { fullPages: false }],
    ['warning autovacuum', { vacuums: false }],
    ['warning autovacuum', { shape: { ...WHOLE, unvacuumed: ['presence'] } }],
    ['wrong leader-url', { leaderUrl: 'it leads elsewhere' }],
    ['wrong read-only', { readOnly: true }],
    ['wrong rights', { schemaUsable: false, rights: null }],
    ['wrong rights', { rights: { ...ALL, lacksToServe: ['INSERT on presence'] } }],
    ['wrong row-security', { rights: { ...ALL, veiled: ['fleet'] } }],
    ['wrong rights', { rights: { ...ALL, lacksToLead: ['UPDATE on host'] } }],
    [
      'warning leader-rights',
      { rights: { ...ALL, leads: false, lacksToLead: ['UPDATE on host'] } },
    ],
    [
      'warning api-rights',
      { rights: { ...ALL, serves: false, lacksToServe: ['INSERT on presence'] } },
    ],
    ['warning leader-lock', { locks: { leader: PSQL, workers: null } }],
    ['warning workers-lock', { locks: { leader: OURS, workers: PSQL } }],
    ['warning workers', { locks: { leader: OURS, workers: null } }],
    ['warning leader', { waits: 16 }],
    ['wrong functions', { uncallable: ['pg_walfile_name(pg_lsn)'] }],
    ['wrong mark', { marks: false }],
    ['wrong fsync', { fsync: false }],
    ['wrong synchronous-commit', { synchronousCommit: 'off' }],
    ['warning standby-sync', { synchronousStandbys: '' }],
    ['warning standby-sync', { synchronousCommit: 'local', confirmingStandbys: 0 }],
    ['warning standby-sync', { synchronousCommit: 'remote_write' }],
    ['wrong standby-away', { confirmingStandbys: 0 }],
    ['wrong standby-away', { synchronousStandbys: 'ANY 2 (a, b)' }],
    ['wrong clock', { clockAheadMs: -6_000 }],
    ['warning long-transaction', { horizon: { transactions: 1, seconds: 61, whose: null } }],
    ['warning old-snapshot', { horizon: { transactions: 1_000_001, seconds: 0, whose: null } }],
    ['warning notification-queue', { notifications: { held: 0.5, holder: null } }],
    ['wrong notification-queue', { hears: null, notifications: { held: 1, holder: null } }],
    ['warning stats', { seesOthers: false }],
    ['warning connections', { rooms: [{ of: 'server', limit: 97, taken: 80 }] }],
    [
      'warning connections',
      {
        rooms: [
          { of: 'server', limit: 100, taken: 10 },
          { of: 'login', limit: 20, taken: 1 },
        ],
      },
    ],
    ['wrong schema', { shape: { ...WHOLE, missing: ['presence.closure'] } }],
    ['wrong unlogged', { shape: { ...WHOLE, unlogged: ['input_queue_s0'] } }],
    [
      'wrong triggers',
      { shape: { ...WHOLE, lost: [{ name: 'artifact_declares_hosts', is: 'off' }] } },
    ],
    ['warning triggers', { shape: { ...WHOLE, strange: ['audit on host'] } }],
    ['wrong encoding', { encoding: 'LATIN1' }],
  ])('is %s', (said, facts) => {
    expect(checksOf({ ...WELL, ...facts })).toEqual([said]);
  });

  it('is nothing of standbys that the role may not see, nor of a leader', () => {
    expect(diagnose({ ...WELL, confirmingStandbys: null })).toEqual([]);
    expect(diagnose({ ...WELL, hears: null })).toEqual([]);
    const notifications = { held: null, holder: null };
    expect(diagnose({ ...WELL, notifications })).toEqual([]);
    expect(diagnose({ ...WELL, locks: { leader: OURS, workers: OURS } })).toEqual([]);
  });

  it('names the first of many rights that are missing', () => {
    const lacksToServe = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const [found] = diagnose({ ...WELL, rights: { ...ALL, lacksToServe } });
    expect(found?.text).toContain('lacks a, b, c, d, e and 2 more: ');
  });

  it('names the limit that one process does not get by with', () => {
    const tight = { of: 'database', limit: 4, taken: 1 } as const;
    const found = diagnose({ ...WELL, rooms: [...WELL.rooms, tight] });
    expect(found.map(({ level }) => level)).toEqual(['wrong', 'warning']);
    expect(found[0]?.text).toMatch(/CONNECTION LIMIT of the database allows 4 connections/);
  });

  it('forgives a clock what the way there may have taken', () => {
    expect(checksOf({ ...WELL, clockAheadMs: 6_000, roundTripMs: 4_000 })).toEqual([]);
  });
});

describe('muster doctor', () => {
  it('finds no pooler, no wrong clock and all rights at a database of its own', async () => {
    const { url } = await createTestDatabase();
    const outcome = await run(doctor, '--database-url', url, '--schema', 'muster', '--json');
    expect(outcome.code, outcome.stdout + outcome.stderr).toBe(0);
    expect(outcome.json).toMatchObject({ ok: true });
    expect(outcome.stdout).not.toContain('pooler');
  });

  it('knows the backend that it was greeted by', async () => {
    const { url } = await createTestDatabase();
    const database = { url, schema: 'muster', name: 'test' };
    const options = { role: 'doctor', settings: {}, deadlineMs: 10_000 };
    const session = await openSession(database, options);
    const facts = await session.run((sql) => readFacts(sql, 'muster', Date.now));
    await session.end();
    expect(facts).toMatchObject({ backendPid: session.pid, greetedByPid: session.pid });
  });

  it('says what a schema that is not there needs, and changes nothing', async () => {
    const { url } = await createTestDatabase({ empty: true });
    const outcome = await run(doctor, '--database-url', url, '--schema', 'fresh');
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/wrong: schema: .*run "muster migrate"/);
    const sql = postgres(url, { max: 1 });
    const schemas = await sql`SELECT FROM pg_namespace WHERE nspname = 'fresh'`;
    await sql.end();
    expect(schemas).toHaveLength(0);
  });

  it('knows the tables that this code makes, and misses what is not there any more', async () => {
    const { url } = await createTestDatabase();
    const sql = postgres(url, { max: 1, connection: { search_path: 'muster' } });
    const rows = await sql<{ name: string; columns: string }[]>`
      SELECT relname AS name, string_agg(attname, ' ' ORDER BY attnum) AS columns
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE relnamespace = 'muster'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
        AND relname !~ '_s[0-9]+$' AND attnum > 0 AND NOT attisdropped GROUP BY 1`;
    expect(COLUMNS).toEqual(Object.fromEntries(rows.map(({ name, columns }) => [name, columns])));
    await sql`ALTER TABLE presence DROP COLUMN uptime_secs CASCADE`;
    await sql`ALTER TABLE dispatch DROP COLUMN lock_only`;
    await sql`ALTER TABLE dispatch_offer RENAME TO gone`;
    await sql`ALTER TABLE input_queue_s0 SET UNLOGGED`;
    await sql`ALTER TABLE presence SET (autovacuum_enabled = off, fillfactor = 50)`;
    await sql.end();
    const { code, stdout } = await run(doctor, '--database-url', url, '--schema', 'muster');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /schema: the schema has lost dispatch\.lock_only, dispatch_offer, presence\.uptime_secs: put/,
    );
    expect(stdout).toMatch(/unlogged: a crash of the server empties input_queue_s0, /);
    expect(stdout).toMatch(/autovacuum: autovacuum is off for presence, /);
  });

  it('compares where the URL of the leader leads', async () => {
    const [{ url }, { url: other }] = [await createTestDatabase(), await createTestDatabase()];
    const checks = async (leader: string): Promise<string> => {
      const flags = ['--database-url', url, '--leader-database-url', leader, '--schema', 'muster'];
      return (await run(doctor, ...flags)).stdout;
    };
    expect(await checks(url)).not.toContain('leader-url');
    expect(await checks(other)).toMatch(/^wrong: leader-url: .* leads to another database than/m);
    const nowhere = `postgres://nobody@127.0.0.1:${String(await freePort())}/none`;
    expect(await checks(nowhere)).toMatch(
      /^wrong: leader-url: .*ECONNREFUSED.*correct MUSTER_LEADER_DATABASE_URL/m,
    );
  });

  it('sees that inputs wait and nobody leads', async () => {
    const { url } = await createTestDatabase();
    const sql = postgres(url, { max: 1, connection: { search_path: 'muster' } });
    await sql`INSERT INTO input_queue (kind, payload, enqueued_at)
      VALUES ('Tick', '{}', now() - interval '40 s')`;
    await sql.end();
    const { code, stdout } = await run(doctor, '--database-url', url, '--schema', 'muster');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /warning: leader: nobody leads, and the oldest input has waited for 4\d s/,
    );
  });

  it('names the oldest of the transactions that are open for long', async () => {
    const { url } = await createTestDatabase();
    const connection = { application_name: 'psql' };
    const dba = postgres(url, { max: 1, connection });
    const [session] = await dba<{ pid: number; login: string }[]>`
      SELECT pg_backend_pid() AS pid, current_user AS login`;
    const open = dba.begin((sql) => sql`SELECT pg_sleep(2)`);
    const database = { url, schema: 'muster', name: 'test' };
    const options = { role: 'doctor', settings: {}, deadlineMs: 10_000 };
    const eyes = await openSession(database, options);
    const whose = async () => (await eyes.run(readHorizon)).whose;
    await eventually(whose).toBe(
      `session ${String(session?.pid)} (${String(session?.login)}, psql)`,
    );
    await open;
    expect(await whose()).toBeNull();
    await eyes.end();
    await dba.end();
  });

  it('misses the rows without which nobody leads', async () => {
    const { url } = await createTestDatabase();
    const sql = postgres(url, { max: 1, connection: { search_path: 'muster' } });
    await sql`INSERT INTO leader_progress (epoch, commit_no, head_seq, at) VALUES (1, 0, 7, now())`;
    await sql.end();
    const { code, stdout } = await run(doctor, '--database-url', url, '--schema', 'muster');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /wrong: log: the log ends at row 0, and rows up to 7 were committed: attach/,
    );
  });

  it('says when nobody answers', async () => {
    const url = `postgres://nobody@127.0.0.1:${String(await freePort())}/none`;
    const outcome = await run(doctor, '--database-url', url);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/ECONNREFUSED.*start PostgreSQL/);
  });
});
