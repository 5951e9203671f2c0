/** A leader that lost its epoch without noticing: what it writes late must change nothing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startListener, type Listener } from '../../src/db/listen.ts';
import { isFenced } from '../../src/db/errors.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { migrate } from '../../src/db/migrate.ts';
import { fence, renewIncarnation, takeEpoch } from '../../src/leader/election.ts';
import { Patience } from '../../src/leader/lost-answers.ts';
import { LeaderTerm, type TermOptions } from '../../src/leader/term.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { createMetrics, systemClock } from '../../src/telemetry.ts';
import { startProxy } from '../faults/suite/wire/proxy.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';

let database: DatabaseOptions;
let listener: Listener;
let pool: Pool;
const writers: Session[] = [];
const undo: (() => Promise<void>)[] = [];

const CANDIDATE = { holder: 'x', address: '', version: 'test' };
const DBA = { role: 'psql', settings: {}, deadlineMs: 10_000 };

beforeEach(async () => {
  const { url } = await createTestDatabase();
  database = { url, schema: 'muster', name: 'muster-fence' };
  listener = startListener(database, { logger: silentLogger(), random: () => 0 });
  pool = createPool(database, { role: 'test', max: 3, statementMs: 10_000 });
});
afterEach(async () => {
  for (const writer of writers.splice(0)) await writer.end();
  for (const step of undo.splice(0)) await step();
  await listener.stop();
  await pool.end();
});

async function nextWriter(to = database): Promise<Session> {
  const writer = await openWriter(to);
  writers.push(writer);
  return writer;
}

/** A term without a lock: as after a lock that was lost and not noticed. */
async function begin(holder: string, logger = silentLogger()): Promise<LeaderTerm> {
  const options: TermOptions = {
    candidate: { holder, address: '', version: 'test' },
    settings: DEFAULT_SETTINGS,
    batchRows: 100,
    listener,
    patience: new Patience(),
    pool,
    clock: systemClock,
    logger,
    metrics: createMetrics(),
  };
  return LeaderTerm.begin(options, await nextWriter());
}

async function everything(): Promise<unknown> {
  const rows = await pool.run(
    (sql) => sql`SELECT
      (SELECT json_agg(e ORDER BY seq) FROM event_log e) AS log,
      (SELECT json_agg(q ORDER BY id) FROM input_queue q) AS queue,
      (SELECT json_agg(v ORDER BY input_id) FROM verdict v) AS verdicts,
      (SELECT json_agg(p) FROM leader_progress p) AS progress`,
  );
  return rows[0];
}

const enqueue = (): Promise<unknown> =>
  pool.run(
    (sql) => sql`INSERT INTO input_queue (kind, payload, replica)
      VALUES ('Tick', '{"kind":"Tick"}', 'somebody')`,
  );

it('nobody begins a log a second time whose partitions somebody took away', async () => {
  const term = await begin('first');
  await enqueue();
  const stop = new AbortController();
  const working = term.work(stop.signal);
  const seqs = () =>
    pool.run((sql) => sql<{ seq: number }[]>`SELECT head_seq AS seq FROM leader_progress`);
  await eventually(async () => (await seqs())[0]?.seq).toBeGreaterThan(0);
  stop.abort();
  await working;
  const tables = ['event_log_p000000', 'event_log_p000001'];
  for (const table of tables)
    await pool.run((sql) =>
      sql.unsafe(
        `ALTER TABLE event_log DETACH PARTITION ${table}; ALTER TABLE ${table} RENAME TO kept_${table}`,
      ),
    );
  const before = await everything();
  await expect(begin('second')).rejects.toThrow(
    /^the log ends at row 0, and rows up to \d+ were committed: attach/,
  );
  expect(await everything()).toEqual(before);
});

describe('fence', () => {
  it('a deposed leader ends at its next commit and leaves no trace', async () => {
    const old = await begin('old');
    await begin('new');
    await enqueue();
    const before = await everything();
    await expect(old.work(new AbortController().signal)).rejects.toSatisfy(isFenced);
    expect(await everything()).toEqual(before);
  });

  it('is why a term ends, not the statements that the server refuses after it', async () => {
    const term = await begin('old');
    await pool.run((sql) =>
      sql.unsafe(`CREATE OR REPLACE FUNCTION fence(mine bigint) RETURNS void
        LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '42501'; END $$`),
    );
    await enqueue();
    const ended = term.work(new AbortController().signal);
    await expect(ended).rejects.toMatchObject({ code: '42501' });
  });

  it('of a state that cannot be loaded, says what is missing, not that the rest was refused', async () => {
    await pool.run((sql) => sql`ALTER TABLE enrolment RENAME TO elsewhere`);
    await expect(begin('next')).rejects.toMatchObject({ code: '42P01' });
  });

  it('is what stops it: without the fence the same late commit goes through', async () => {
    const old = await begin('old');
    await begin('new');
    await pool.run((sql) =>
      sql.unsafe(`CREATE OR REPLACE FUNCTION fence(mine bigint) RETURNS void
        LANGUAGE plpgsql AS 'BEGIN END'`),
    );
    await enqueue();
    const before = await everything();
    const stop = new AbortController();
    const working = old.work(stop.signal);
    await eventually(everything).not.toEqual(before);
    stop.abort();
    await working;
  });

  it('the next leader waits for a transaction of the previous one, and then fences it', async () => {
    const old = await nextWriter();
    const next = await nextWriter();
    const candidate = CANDIDATE;
    const since = new Date().toISOString();
    const first = await old.run((sql) => takeEpoch(sql, candidate, since));
    await old.run(async (sql) => {
      await sql`BEGIN`;
      await fence(sql, first.epoch);
    });
    let taken = false;
    const second = next.run(async (sql) => {
      const term = await takeEpoch(sql, candidate, since);
      taken = true;
      return term;
    });
    await untilWaiting(next.pid);
    expect(taken).toBe(false);
    await old.run((sql) => sql`COMMIT`);
    expect((await second).epoch).toBe(first.epoch + 1);
    await expect(old.run((sql) => fence(sql, first.epoch))).rejects.toSatisfy(isFenced);
  });

  it('ends the transaction of a leader that was frozen where no timeout of the server ends it', async () => {
    const server = new URL(database.url);
    const proxy = await startProxy(Number(server.port));
    undo.push(() => proxy.close());
    server.port = String(proxy.port);
    const old = await nextWriter({ ...database, url: server.href });
    const first = await old.run((sql) => takeEpoch(sql, CANDIDATE, new Date().toISOString()));
    await old.run(async (sql) => {
      await sql`BEGIN`;
      await fence(sql, first.epoch);
    });
    const frozen = proxy.trap('writer', /new_to_it/, 'described');
    const late = old.run((sql) => sql`SELECT ${1}::int AS new_to_it`.execute());
    late.catch(() => undefined);
    await frozen;
    const lines: string[] = [];
    const next = await begin('next', silentLogger(lines));
    expect(next.term.epoch).toBe(first.epoch + 1);
    expect(lines.filter((line) => line.includes('that is frozen'))).toHaveLength(1);
    proxy.heal();
    await expect(late).rejects.toThrow();
  });

  it('leaves to itself whoever else holds the epoch, and says who it is', async () => {
    const lines: string[] = [];
    const dba = await openSession({ ...database, name: 'dba' }, DBA);
    undo.push(() => dba.end());
    await dba.run(async (sql) => {
      await sql`BEGIN`;
      await sql`LOCK TABLE epoch IN EXCLUSIVE MODE`;
    });
    const next = begin('next', silentLogger(lines));
    await eventually(() =>
      lines.filter((line) => line.includes('not ended from here')),
    ).not.toEqual([]);
    expect(lines.join('\n')).toContain(String(dba.pid));
    await dba.run((sql) => sql`COMMIT`);
    expect((await next).term.epoch).toBe(1);
  });

  it('keeps the incarnation from leader to leader; renews it in a restored database, and says so', async () => {
    const lines: string[] = [];
    const say = silentLogger(lines);
    const [one, two] = [await begin('one', say), await begin('two', say)];
    expect(two.term.incarnation).toBe(one.term.incarnation);
    await pool.run((sql) => sql`UPDATE epoch SET system_identifier = 'another cluster'`);
    expect(lines.filter((line) => line.includes('another database'))).toEqual([]);
    const three = await begin('three', say);
    expect(lines.filter((line) => line.includes('another database'))).toHaveLength(1);
    expect(three.term.incarnation).not.toBe(one.term.incarnation);
    expect(three.term.epoch).toBe(two.term.epoch + 1);
    // A dump that was restored into the same database: the tables are other ones.
    await pool.run((sql) => sql`UPDATE epoch SET log_oid = log_oid - 1`);
    const four = await begin('four', say);
    expect(four.term.incarnation).not.toBe(three.term.incarnation);
    // As the code before this column left it.
    await pool.run((sql) => sql`UPDATE epoch SET log_oid = NULL`);
    expect((await begin('five', say)).term.incarnation).toBe(four.term.incarnation);
  });

  it('takes what hosts reported before for forgotten in another database, until that is committed', async () => {
    const reported = async (): Promise<unknown> => {
      const [row] = await pool.run((sql) => sql`SELECT reported_closure AS closure FROM host`);
      return row?.['closure'];
    };
    await begin('one');
    const known = (): Promise<unknown> =>
      pool.run(
        (sql) => sql`
        INSERT INTO host (hostname, seq, reachability, reported_closure)
        VALUES ('web1', 1, 'reachable', 'c1')
        ON CONFLICT (hostname) DO UPDATE SET reported_closure = excluded.reported_closure`,
      );
    await known();
    await begin('two');
    expect(await reported()).toBe('c1');
    await pool.run((sql) => renewIncarnation(sql, CANDIDATE));
    // It took the epoch and was killed.
    await (await nextWriter()).run((sql) => takeEpoch(sql, CANDIDATE, new Date().toISOString()));
    await begin('three');
    expect(await reported()).toBeNull();
    await known();
    await begin('four');
    expect(await reported()).toBe('c1');
  });

  it('leads a newer schema that only adds, and none that left it behind', async () => {
    const newer = { name: 'later.sql', sql: 'SELECT 1', checksum: 'x' };
    const leading = await begin('old code');
    const other = await nextWriter();
    await migrate(database, { migrations: [{ ...newer, version: 9998, oldestCode: 0 }] });
    await expect(other.run((sql) => fence(sql, leading.term.epoch))).resolves.toBeDefined();
    const again = await begin('old code');
    // One that takes something away also ends the term that is under way.
    await migrate(database, { migrations: [{ ...newer, version: 9999, oldestCode: 9998 }] });
    await expect(other.run((sql) => fence(sql, again.term.epoch))).rejects.toSatisfy(isFenced);
    await expect(begin('old code')).rejects.toThrow('later.sql left this Muster');
  });
});

async function untilWaiting(pid: number): Promise<void> {
  await eventually(async () => {
    const [row] = await pool.run(
      (sql) => sql<{ blockers: string }[]>`SELECT pg_blocking_pids(${pid})::text AS blockers`,
    );
    return row?.blockers;
  }).not.toBe('{}');
}
