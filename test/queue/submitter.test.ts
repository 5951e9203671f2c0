import { afterEach, describe, expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import type { KeyedRequest } from '../../src/queue/keyed.ts';
import type { SubmitResult } from '../../src/queue/submitter.ts';
import type { OperatorInput } from '../../src/reducer/input.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type LIMITS, type Replica } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';

const replicas: Replica[] = [];
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
});

async function start(limits: Partial<typeof LIMITS> = {}): Promise<Replica> {
  const { url } = await createTestDatabase();
  const replica = startReplica(url, 'a', limits);
  replicas.push(replica);
  return replica;
}

const TICK: StoredInput = { kind: 'Tick' };
/** PostgreSQL cannot store NUL in a text. The API replaces it; here it stands for any such value. */
const UNSTORABLE = { ...heartbeat('bad\u0000host') };

async function queued(replica: Replica): Promise<string[]> {
  const rows = await replica.pool.run(
    (sql) => sql<{ hostname: string }[]>`SELECT hostname FROM input_queue ORDER BY id`,
  );
  return rows.map((row) => row.hostname);
}

const statuses = (results: readonly SubmitResult[]): string[] =>
  results.map((result) => result.status);

describe('submitter', () => {
  it('answers queued when it is durable and nobody leads', async () => {
    const a = await start();
    expect(await a.submitter.submit(heartbeat('h1'), { waitMs: 20 })).toEqual({ status: 'queued' });
    expect(await queued(a)).toEqual(['h1']);
  });

  it('gathers callers into few commits, in their order', async () => {
    const a = await start();
    const names = Array.from({ length: 300 }, (_, i) => `h${i}`);
    await Promise.all(names.map((name) => a.submitter.submit(heartbeat(name), { waitMs: 0 })));
    expect(await queued(a)).toEqual(names);
    const [row] = await a.pool.run(
      (sql) => sql<{ n: number }[]>`SELECT count(DISTINCT xmin::text)::int AS n FROM input_queue`,
    );
    expect(row?.n).toBeLessThan(10);
  });

  it('a value that cannot be stored fails alone, whoever travels with it', async () => {
    const a = await start();
    const inputs = Array.from({ length: 50 }, (_, i) => heartbeat(`h${i}`));
    inputs.splice(23, 0, UNSTORABLE);
    const results = await Promise.all(inputs.map((i) => a.submitter.submit(i, { waitMs: 0 })));
    expect(results[23]).toMatchObject({ status: 'invalid' });
    results.splice(23, 1);
    expect(new Set(statuses(results))).toEqual(new Set(['queued']));
    expect(await queued(a)).toHaveLength(50);
  });

  it('takes nobody for stored where fewer rows were stored than sent', async () => {
    const a = await start();
    await a.pool.run(async (sql) => {
      await sql`CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.hostname = 'h3' THEN RETURN NULL; END IF; RETURN new; END $$`;
      await sql`CREATE TRIGGER swallow BEFORE INSERT ON input_queue
        FOR EACH ROW EXECUTE FUNCTION swallow()`;
    });
    const names = Array.from({ length: 10 }, (_, i) => `h${i}`);
    const sent = names.map((name) => a.submitter.submit(heartbeat(name), { waitMs: 0 }));
    for (const result of await Promise.all(sent)) {
      expect(result).toMatchObject({ status: 'unavailable', why: 'database-away' });
    }
    expect(await a.submitter.submit(heartbeat('h4'), { waitMs: 0 })).toEqual({ status: 'queued' });
  });

  it('gives every caller its own verdict', async () => {
    const a = await start();
    await a.lead();
    const results = await Promise.all(
      Array.from({ length: 200 }, () => a.submitter.submit(TICK, { waitMs: 5_000 })),
    );
    expect(new Set(statuses(results))).toEqual(new Set(['judged']));
  });

  it('keeps no verdict for whom nobody waits, and one row a commit for the others', async () => {
    const a = await start();
    await Promise.all([0, 0, 5, 5].map((waitMs) => a.submitter.submit(TICK, { waitMs })));
    await a.lead();
    await a.submitter.submit(TICK, { waitMs: 5_000 });
    const rows = await a.pool.run(
      (sql) => sql<{ n: number }[]>`SELECT json_array_length(verdicts) AS n FROM commit_verdicts
        ORDER BY epoch, commit_no`,
    );
    expect(rows.map(({ n }) => n).reduce((sum, n) => sum + n)).toBe(3);
    expect(rows.length).toBeLessThan(3);
  });

  it('reads the verdicts of an older leader, which knows of no others', async () => {
    const a = await start();
    const judged = a.submitter.submit(TICK, { waitMs: 15_000 });
    await eventually(() => queued(a)).toHaveLength(1);
    await a.pool.run((sql) => sql`UPDATE input_queue SET together = false`);
    await a.lead();
    expect(await judged).toMatchObject({ status: 'judged' });
  });

  it('a verdict that comes after the wait is no one else’s', async () => {
    const a = await start();
    expect(await a.submitter.submit(heartbeat('h1'), { waitMs: 5 })).toEqual({ status: 'queued' });
    await a.lead();
    expect(await a.submitter.submit(TICK, { waitMs: 5_000 })).toMatchObject({ status: 'judged' });
  });

  it('is full by depth, and says when to come back', async () => {
    const a = await start({ queueRows: 3 });
    await a.pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload)
        SELECT 'Tick', '{"kind":"Tick"}' FROM generate_series(1, 5)`,
    );
    expect(await a.submitter.obstacle()).toEqual({ why: 'full', by: 'rows', most: 3 });
    const result = await a.submitter.submit(TICK, { waitMs: 0 });
    expect(result).toMatchObject({ status: 'unavailable', why: 'queue-full' });
    expect(result).toHaveProperty('retryAfterSecs', 6);
  });

  it('is full by size: large inputs count for many', async () => {
    const a = await start({ queueRows: 100 });
    const fill = (rows: number) => (sql: Sql) => sql`
      INSERT INTO input_queue (kind, payload)
      SELECT 'Tick', json_build_object('kind', 'Tick', 'pad', repeat('x', 50000))
      FROM generate_series(1, ${rows})`;
    await a.pool.run(fill(7));
    expect(await a.submitter.obstacle()).toBeNull();
    await a.pool.run(fill(2));
    await eventually(() => a.submitter.obstacle()).toMatchObject({ why: 'full', by: 'bytes' });
    expect(await a.submitter.submit(TICK, { waitMs: 0 })).toMatchObject({ why: 'queue-full' });
  });

  it('is full by age', async () => {
    const a = await start({ queueAgeMs: 60_000 });
    await a.pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload, enqueued_at)
        VALUES ('Tick', '{"kind":"Tick"}', now() - interval '2 minutes')`,
    );
    expect(await a.submitter.obstacle()).toEqual({ why: 'full', by: 'age', most: 60_000 });
    expect(await a.submitter.submit(TICK, { waitMs: 0 })).toMatchObject({ why: 'queue-full' });
  });

  it('holds no more in memory than it may', async () => {
    const a = await start({ heldRows: 10 });
    const results = await Promise.all(
      Array.from({ length: 30 }, () => a.submitter.submit(TICK, { waitMs: 0 })),
    );
    expect(statuses(results).filter((status) => status === 'queued')).toHaveLength(10);
    expect(statuses(results).filter((status) => status === 'unavailable')).toHaveLength(20);
  });

  it('recovers by itself when its connections were cut', async () => {
    const a = await start();
    await a.submitter.submit(heartbeat('before'), { waitMs: 0 });
    await a.pool.run(
      (sql) => sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await eventually(
      async () => (await a.submitter.submit(heartbeat('after'), { waitMs: 0 })).status,
    ).toBe('queued');
    await a.lead();
    expect(await a.submitter.submit(TICK, { waitMs: 5_000 })).toMatchObject({ status: 'judged' });
  });

  it('stores what it holds before it stops, and takes nothing more', async () => {
    const a = await start();
    const under = a.submitter.submit(heartbeat('last'), { waitMs: 0 });
    const drained = a.submitter.drain();
    expect(await a.submitter.submit(TICK, { waitMs: 0 })).toMatchObject({ why: 'draining' });
    await drained;
    expect(await under).toEqual({ status: 'queued' });
    expect(await queued(a)).toEqual(['last']);
  });
});

const PAUSE: OperatorInput = {
  ...{ kind: 'OperatorCommand', actor: 'ada', reason: 'test', expectedSeq: null },
  command: { command: 'PauseFleet' },
};
const command = (key: string): KeyedRequest => ({ key, input: PAUSE, secret: null });

describe('what is counted', () => {
  const counted = async (a: Replica, outcome: string): Promise<number> => {
    const line = `muster_queue_inputs_total{outcome="${outcome}"} `;
    const text = await a.metrics.expose();
    return Number(
      text
        .split('\n')
        .find((one) => one.startsWith(line))
        ?.slice(line.length) ?? 0,
    );
  };

  it('are commands, too, and their repeats apart', async () => {
    const a = await start();
    expect(await a.submitter.submitKeyed(command('k1'), { waitMs: 0 })).toMatchObject({
      status: 'queued',
    });
    await a.lead();
    expect(await a.submitter.submitKeyed(command('k2'), { waitMs: 5_000 })).toMatchObject({
      status: 'judged',
    });
    await a.submitter.submitKeyed(command('k2'), { waitMs: 5_000 });
    const counts = ['queued', 'judged', 'repeated'].map((outcome) => counted(a, outcome));
    expect(await Promise.all(counts)).toEqual([1, 1, 1]);
    expect(await a.metrics.expose()).toContain('muster_queue_verdict_seconds_count 1');
  });

  it('is what is held until the database has it', async () => {
    const a = await start();
    const under = a.submitter.submit(heartbeat('held'), { waitMs: 0 });
    expect(await a.metrics.expose()).toMatch(
      /muster_queue_held_rows 1\n[^]*muster_queue_held_bytes [1-9]/,
    );
    await under;
    await eventually(() => a.metrics.expose()).toContain('muster_queue_held_rows 0\n');
  });
});

describe('commands of a crowd', () => {
  it('are refused at once where the last of them could not be stored in time, and nothing of these is stored', async () => {
    const a = await start();
    const crowd = Array.from({ length: 700 }, (_, i) =>
      a.submitter.submitKeyed(command(`k${i}`), { waitMs: 0 }),
    );
    const answers = await Promise.all(crowd);
    expect(answers.slice(0, 500).map(({ status }) => status)).toEqual(Array(500).fill('queued'));
    for (const answer of answers.slice(500)) expect(answer).toMatchObject({ why: 'queue-full' });
    const [stored] = await a.pool.run((sql) => sql`SELECT count(*)::int AS n FROM operator_key`);
    expect(stored).toEqual({ n: 500 });
    expect(await a.submitter.submitKeyed(command('late'), { waitMs: 0 })).toMatchObject({
      status: 'queued',
    });
  });
});

describe('another database in the place of the one before', () => {
  const SAYS = 'another database than before';
  const verdict = async (a: Replica): Promise<string> =>
    (await a.submitter.submit(TICK, { waitMs: 5_000 })).status;

  it('whose leader counts again from below what was seen is heard', async () => {
    const a = await start();
    await a.lead();
    for (let i = 0; i < 10; i += 1) expect(await verdict(a)).toBe('judged');
    await a.resign();
    // As a standby has it that received nothing of the term.
    await a.pool.run((sql) =>
      Promise.all([sql`UPDATE epoch SET epoch = 0`, sql`DELETE FROM commit_verdicts`]),
    );
    await a.lead();
    const began = performance.now();
    await verdict(a); // its reader learns it by this one at the latest
    expect(await verdict(a)).toBe('judged');
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(a.log.join('\n')).toContain(SAYS);
  });

  it('has those send again who may have been stored in the other', async () => {
    const a = await start();
    await a.lead();
    expect(await verdict(a)).toBe('judged');
    await a.resign();
    const sent = a.submitter.submit(heartbeat('h1'), { waitMs: 15_000 });
    await eventually(() => queued(a)).toContain('h1');
    await a.pool.run((sql) => sql`UPDATE epoch SET incarnation = gen_random_uuid()`);
    expect(await sent).toMatchObject({ status: 'unavailable', why: 'database-away' });
    expect(a.log.join('\n')).toContain(SAYS);
    await a.lead();
    expect(await verdict(a)).toBe('judged');
  });
});

describe('a database that is away', () => {
  it('is unavailable, not an exception', async () => {
    const a = startReplica('postgres://nobody@127.0.0.1:1/none', 'away');
    replicas.push(a);
    expect(await a.submitter.submit(TICK, { waitMs: 0 })).toMatchObject({
      status: 'unavailable',
      why: 'database-away',
    });
    expect(await a.submitter.obstacle()).toMatchObject({ why: 'database' });
  });
});
