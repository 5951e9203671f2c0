/** Whose clock dates the log: the database's, and no process's. */
import { afterEach, expect, it } from 'vitest';
import { readLogAhead } from '../../src/db/measure.ts';
import { migrate } from '../../src/db/migrate.ts';
import { Patience } from '../../src/leader/lost-answers.ts';
import { LeaderTerm } from '../../src/leader/term.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { startListener } from '../../src/db/listen.ts';
import { createPool } from '../../src/db/pool.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { createMetrics, systemClock, type Clock } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger, startReplica, type Replica } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';

const HOUR_MS = 3_600_000;
const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

function replicaOf(url: string, name: string, clock: Clock = systemClock): Replica {
  const replica = startReplica(url, name, {}, clock);
  ended.push(() => replica.stop());
  return replica;
}

/** Seconds between the newest row and the database's clock; above 0: it is ahead. */
async function ahead({ pool }: Replica): Promise<number> {
  const [row] = await pool.run(
    (sql) => sql<{ seconds: number }[]>`
      SELECT extract(epoch FROM max(ts) - clock_timestamp())::float8 AS seconds FROM event_log`,
  );
  return row?.seconds ?? NaN;
}

async function decide({ submitter }: Replica, host: string): Promise<void> {
  const result = await submitter.submit(heartbeat(host), { waitMs: 10_000 });
  expect(result).toMatchObject({ status: 'judged', verdict: { status: 'applied' } });
}

it.each([3 * HOUR_MS, -3 * HOUR_MS])(
  "dates what it logs by the database's clock while its own is %d ms off",
  async (shift) => {
    const { url } = await createTestDatabase();
    const wrong = replicaOf(url, 'wrong', { ...systemClock, now: () => Date.now() + shift });
    await wrong.lead();
    await decide(wrong, 'web-01');
    const seconds = await ahead(wrong);
    expect(seconds).toBeLessThanOrEqual(0);
    expect(seconds).toBeGreaterThan(-5);
    const [epoch] = await wrong.pool.run(
      (sql) => sql<{ off: number }[]>`
        SELECT abs(extract(epoch FROM since - clock_timestamp()))::float8 AS off FROM epoch`,
    );
    expect(epoch?.off).toBeLessThan(5);
  },
);

it("ends its term once at each step of the database's clock, and says so: nobody's silence counts in a new one", async () => {
  const { url } = await createTestDatabase();
  // As seen from a clock that cannot be set, it is the server's that steps.
  const own = { behind: 0 };
  const clock = { ...systemClock, monotonic: () => performance.now() - own.behind };
  const replica = replicaOf(url, 'steady', clock);
  const { epoch } = await replica.lead();
  for (const [steps, behind] of [35 * 60_000, 0].entries()) {
    own.behind = behind;
    await eventually(() => replica.leader.term?.epoch).toBe(epoch + steps + 1);
    await decide(replica, `web-0${String(steps)}`);
  }
  const told = replica.log.filter((line) => line.startsWith("the database's clock stepped"));
  expect(told).toMatchObject([
    expect.stringContaining('"seconds":2100') as string,
    expect.stringContaining('"seconds":-2100') as string,
  ]);
  expect(replica.log.join('\n')).toMatch(/no longer leading {"epoch":1,"why":"clock-stepped"/);
  expect(await replica.metrics.expose()).toContain(
    'muster_leader_terms_ended_total{why="clock-stepped"} 2',
  );
  expect(replica.leader.ails).toBe(false);
});

it('says so where the log is ahead of the database, and dates what is swept by that all the same', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  await migrate(database);
  await logAhead(database, HOUR_MS);
  const right = replicaOf(url, 'right');
  await right.lead();
  await decide(right, 'web-01');
  await decide(right, 'web-02');
  expect(await ahead(right)).toBeGreaterThan(3_500);
  expect(await right.pool.run(readLogAhead)).toBeGreaterThan(3_500);
  const told = right.log.filter((line) => line.startsWith('the log is ahead'));
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/"seconds":(3600|359\d)/);
  const rows = await right.pool.run(
    (sql) => sql<{ off: number }[]>`
      SELECT abs(extract(epoch FROM at - clock_timestamp()))::float8 AS off FROM commit_verdicts
      UNION ALL SELECT abs(extract(epoch FROM at - clock_timestamp()))::float8 FROM leader_progress`,
  );
  expect(rows.length).toBeGreaterThan(1);
  for (const { off } of rows) expect(off).toBeLessThan(5);
});

/** As a term did that went by a clock that was wrong. */
async function logAhead(
  database: { url: string; schema: string; name: string },
  ms: number,
): Promise<void> {
  const logger = silentLogger();
  const listener = startListener(database, { logger, random: () => 0 });
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const writer = await openWriter(database);
  const candidate = { holder: 'ahead', address: '', version: 'test' };
  await LeaderTerm.begin(
    {
      ...{
        candidate,
        settings: DEFAULT_SETTINGS,
        batchRows: 10,
        listener,
        pool,
        logger,
        patience: new Patience(),
      },
      ...{ clock: { ...systemClock, now: () => Date.now() + ms }, metrics: createMetrics() },
    },
    writer,
  );
  await Promise.all([writer.end(), pool.end(), listener.stop()]);
}
