import { afterEach, describe, expect, it } from 'vitest';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { openSession } from '../../src/db/session.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import { audit } from '../../src/eventlog/audit.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat, journey, type SmallFleet } from '../support/small-fleet.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import type { SubmitResult } from '../../src/queue/submitter.ts';

let database: DatabaseOptions;
const replicas: Replica[] = [];
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
});

async function start(count: number): Promise<Replica[]> {
  const { url } = await createTestDatabase();
  database = { url, schema: 'muster', name: 'test' };
  const names = ['a', 'b', 'c'].slice(0, count);
  const started = names.map((name) => startReplica(url, name));
  replicas.push(...started);
  return started;
}

function only<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('nothing there');
  return item;
}

const submit = (replica: Replica, input: StoredInput): Promise<SubmitResult> =>
  replica.submitter.submit(input, { waitMs: 10_000 });

async function open(replica: Replica, size: number): Promise<SmallFleet> {
  const fleet = await declareFleet(replica.pool, size, 'abc1');
  expect(await submit(replica, fleet.input)).toMatchObject({ verdict: { status: 'applied' } });
  await Promise.all(fleet.hosts.map((host) => submit(replica, heartbeat(host))));
  return fleet;
}

/** Sends a host's events in order, each again until it is judged, as an agent does. */
async function travel(fleet: SmallFleet, host: string, via: () => Replica): Promise<void> {
  for (const input of journey(fleet, host)) {
    let result: SubmitResult;
    do result = await submit(via(), input);
    while (result.status !== 'judged');
    expect(result.verdict.status).toMatch(/^(applied|duplicate)$/);
  }
}

async function count(replica: Replica, table: string): Promise<number> {
  const [row] = await replica.pool.run(
    (sql) => sql<{ n: number }[]>`SELECT count(*)::int AS n FROM ${sql(table)}`,
  );
  return row?.n ?? -1;
}

const SOUND = { gapless: true, brokenAt: null, unequal: [] };

describe('leader', () => {
  it('rolls a fleet out, and the log, its chain and the tables agree', async () => {
    const a = only(await start(1));
    const term = await a.lead();
    expect(term.epoch).toBe(1);
    const fleet = await open(a, 20);
    await Promise.all(fleet.hosts.map((host) => travel(fleet, host, () => a)));
    const [rollout] = await a.pool.run(
      (sql) => sql<{ state: string }[]>`SELECT state FROM rollout`,
    );
    expect(rollout?.state).toBe('Terminal');
    expect(await audit((read) => a.pool.run(read))).toMatchObject(SOUND);
    expect(await count(a, 'input_queue')).toBe(0);
    expect(await count(a, 'dead_input')).toBe(0);
  });

  it('hands over at once when it resigns, and the next starts where it ended', async () => {
    const [a, b] = await start(2);
    if (a === undefined || b === undefined) throw new Error('two replicas');
    await a.lead();
    const fleet = await open(a, 5);
    const second = b.lead();
    const resigned = performance.now();
    await a.resign();
    expect((await second).epoch).toBe(2);
    expect(performance.now() - resigned).toBeLessThan(1_000);
    expect(b.leader.term?.incarnation).toMatch(/^[0-9a-f-]{36}$/);
    await Promise.all(fleet.hosts.map((host) => travel(fleet, host, () => b)));
    expect(await audit((read) => b.pool.run(read))).toMatchObject(SOUND);
  });

  it('applies every accepted event once while leaders come and go', async () => {
    const [a, b] = await start(2);
    if (a === undefined || b === undefined) throw new Error('two replicas');
    await a.lead();
    const fleet = await open(a, 40);
    let turn = 0;
    const travelling = Promise.all(
      fleet.hosts.map((host) => travel(fleet, host, () => (turn++ % 2 === 0 ? a : b))),
    );
    const bLeads = b.lead();
    // The leader's sessions die, one kind after another, whoever leads; each time somebody goes on.
    for (const role of ['writer', 'leader-lock', 'leader', 'writer']) {
      await killSessions(a, [`a:${role}`, `b:${role}`]);
      expect(await submit(a, { kind: 'Tick' })).toMatchObject({ status: 'judged' });
    }
    await travelling;
    await a.resign();
    expect((await bLeads).epoch).toBeGreaterThan(1);
    const rows = await a.pool.run(
      (sql) => sql<{ hostname: string; seqs: number[] }[]>`
        SELECT hostname, json_agg((payload->'event'->>'seq')::int ORDER BY seq) AS seqs
        FROM event_log WHERE kind = 'agent_event' AND payload->>'verdict' = 'applied'
        GROUP BY hostname`,
    );
    const applied = await a.pool.run(
      (sql) => sql<{ n: number }[]>`
        SELECT count(*)::int AS n FROM host_rollout WHERE state = 'Converged' AND last_event_seq = 4`,
    );
    expect(applied[0]?.n).toBe(40);
    for (const row of rows) expect(row.seqs).toEqual([...new Set(row.seqs)]);
    expect(await audit((read) => a.pool.run(read))).toMatchObject(SOUND);
    expect(await count(a, 'input_queue')).toBe(0);
  });

  it('misses no input that is stored while a batch commits', async () => {
    const [a, b] = await start(2);
    if (a === undefined || b === undefined) throw new Error('two replicas');
    await a.lead();
    const took: number[] = [];
    // The safety net would find it after half a second, each time: the fastest of three tells.
    for (let turn = 0; turn < 3; turn += 1) took.push(await storeDuringCommit(a, b));
    expect(Math.min(...took)).toBeLessThan(400);
  });

  it('sets poison aside and goes on', async () => {
    const a = only(await start(1));
    await a.pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload, replica) VALUES
        ('Nonsense', '{}', 'a'), ('AgentEvent', '{"kind":"AgentEvent"}', 'a'),
        ('ManifestSetUpdated', '{"kind":"ManifestSetUpdated","fleetHash":"absent","manifests":[]}', 'a')`,
    );
    await a.lead();
    expect(await submit(a, { kind: 'Tick' })).toMatchObject({ status: 'judged' });
    expect(await count(a, 'dead_input')).toBe(3);
    expect(await count(a, 'input_queue')).toBe(0);
    const verdicts = await a.pool.run(
      (sql) => sql<{ verdict: { code?: string } }[]>`SELECT verdict FROM verdict ORDER BY input_id`,
    );
    expect(verdicts.slice(0, 3).map((row) => row.verdict.code)).toEqual(Array(3).fill('malformed'));
    const told = a.log.filter((line) => line.startsWith('an input cannot be read'));
    expect(told).toHaveLength(3);
    expect(told[0]).toMatch(/"inputId":\d+,"kind":"Nonsense","error":"there is no input of kind/);
  });

  it('sets aside unread what is larger than any input, and goes on', async () => {
    const a = only(await start(1));
    await a.lead();
    const MB = 1_000_000;
    await a.pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, hostname, payload, replica, together) VALUES
        ('Tick', 'h', ('"' || repeat('x', ${30 * MB}::int) || '"')::json, 'a', true),
        (repeat('k', ${30 * MB}::int), 'h', '{}', repeat('r', ${30 * MB}::int), false)`,
    );
    expect(await submit(a, { kind: 'Tick' })).toMatchObject({ status: 'judged' });
    expect(a.leader.term?.epoch).toBe(1);
    const dead = await a.pool.run(
      (sql) => sql<
        object[]
      >`SELECT length(kind) AS kind, hostname, left(payload, 9) AS payload, error, length(replica) AS replica
        FROM dead_input ORDER BY input_id`,
    );
    expect(dead).toEqual([
      {
        ...{ kind: 4, hostname: 'h', payload: '', replica: 1 },
        error: expect.stringContaining('it has 30000007 bytes') as string,
      },
      {
        ...{ kind: 1_000, hostname: 'h', payload: '{}', replica: 1_000 },
        error: expect.stringContaining('it has 60000003 bytes') as string,
      },
    ]);
    expect(await count(a, 'input_queue')).toBe(0);
  });

  it('takes no takeover from the queue, whose own terms make them', async () => {
    const a = only(await start(1));
    await a.lead();
    await a.pool.run(
      (sql) => sql`INSERT INTO input_queue (kind, payload) VALUES ('LeaderStarted',
        '{"kind":"LeaderStarted","epoch":99,"holder":"evil","version":"1","incarnation":"i"}')`,
    );
    expect(await submit(a, { kind: 'Tick' })).toMatchObject({ status: 'judged' });
    expect(await count(a, 'dead_input')).toBe(1);
    const rows = await a.pool.run(
      (sql) => sql<{ actor: string }[]>`SELECT actor FROM event_log WHERE kind = 'leadership'`,
    );
    expect(rows).toHaveLength(1);
  });

  it('finds the one input of a batch whose rows the database refuses', async () => {
    const a = only(await start(1));
    const hosts = ['h1', 'h2', 'h3'];
    await Promise.all(hosts.map((host) => a.submitter.submit(heartbeat(host), { waitMs: 0 })));
    // As from an API that let a NUL through: JSON may hold it, a text column may not.
    await a.pool.run(
      (sql) => sql`UPDATE input_queue
        SET payload = replace(payload::text, 'closure-old', 'closure\\u0000')::json
        WHERE hostname = 'h2'`,
    );
    await a.lead();
    expect(await submit(a, { kind: 'Tick' })).toMatchObject({ status: 'judged' });
    const dead = await a.pool.run(
      (sql) => sql<{ hostname: string }[]>`SELECT hostname FROM dead_input`,
    );
    expect(dead).toEqual([{ hostname: 'h2' }]);
    expect(await count(a, 'host')).toBe(2);
    expect(await audit((read) => a.pool.run(read))).toMatchObject(SOUND);
  });

  it('drops the state with an input that makes the reducer throw, and goes on', async () => {
    const a = only(await start(1));
    await a.lead();
    // A soak beyond the end of time: granting a dispatch throws.
    const fleet = await declareFleet(a.pool, 2, 'abc3', 1e300);
    await submit(a, fleet.input);
    const results = await Promise.all(fleet.hosts.map((host) => submit(a, heartbeat(host))));
    expect(results.map((result) => result.status)).toEqual(['judged', 'judged']);
    expect(await count(a, 'dead_input')).toBe(2);
    expect(a.leader.term?.epoch).toBe(1);
    expect(await audit((read) => a.pool.run(read))).toMatchObject(SOUND);
  });
});

/** Milliseconds from the end of a commit to the verdict of what was stored meanwhile. */
async function storeDuringCommit(leader: Replica, other: Replica): Promise<number> {
  const blocker = await openSession(database, {
    role: 'blocker',
    settings: {},
    deadlineMs: 20_000,
  });
  const results = await inTransaction(blocker, async (sql) => {
    await sql`SELECT 1 FROM epoch FOR UPDATE`;
    const first = submit(other, { kind: 'Tick' });
    await until(leader, 'a:writer', 'Lock');
    // Its next claim, sent before the commit, has been answered: nothing was there.
    await until(leader, 'a:leader', 'Client');
    const second = submit(other, { kind: 'Tick' });
    while ((await count(leader, 'input_queue')) < 2);
    return { verdicts: Promise.all([first, second]), since: performance.now() };
  });
  await results.verdicts;
  const took = performance.now() - results.since;
  await blocker.end();
  return took;
}

/** Until every session of that name waits for this. */
async function until(replica: Replica, session: string, waitsFor: string): Promise<void> {
  for (;;) {
    const [row] = await replica.pool.run(
      (sql) => sql<{ so: boolean | null }[]>`
        SELECT bool_and(wait_event_type = ${waitsFor}) AS so FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = ${session}`,
    );
    if (row?.so === true) return;
  }
}

async function killSessions(replica: Replica, names: readonly string[]): Promise<void> {
  await replica.pool.run(
    (sql) => sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name IN ${sql(names)}`,
  );
}
