/** One batch is reduced while the one before commits: when that one is refused, it never happened. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/telemetry.ts';
import { STRETCH_MS } from '../../src/leader/turns.ts';
import { audit } from '../../src/eventlog/audit.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat, type SmallFleet } from '../support/small-fleet.ts';
import type { StoredInput } from '../../src/wire/input.ts';

const SOUND = { gapless: true, brokenAt: null, unequal: [] };

/** By which every stretch of work has been long enough: whatever can give way does, each time. */
let stretches = 0;
const monotonic = (): number => (stretches += STRETCH_MS);

let replica: Replica;
beforeEach(async () => {
  // One input in a batch: with two in the queue, the second is reduced while the first commits.
  const { url } = await createTestDatabase();
  replica = startReplica(url, 'a', { batchRows: 1 }, { ...systemClock, monotonic });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  return replica.stop();
});

const submit = (input: StoredInput, waitMs = 10_000) => replica.submitter.submit(input, { waitMs });

/** Queues these in this order, all of them before a leader sees the first. */
async function queue(inputs: readonly StoredInput[]): Promise<void> {
  for (const input of inputs) await submit(input, 0);
}

async function deadInputs(): Promise<readonly { kind: string; hostname: string | null }[]> {
  return replica.pool.run(
    (sql) =>
      sql<{ kind: string; hostname: string | null }[]>`SELECT kind, hostname FROM dead_input`,
  );
}

/** As from an API that let a NUL through: JSON may hold it, a text column may not. */
async function spoilName(fleet: SmallFleet): Promise<void> {
  await replica.pool.run(
    (sql) => sql`UPDATE artifact
      SET content = replace(content::text, '"displayName":"stable', '"displayName":"\\u0000')::json
      WHERE name = ${fleet.rolloutId}`,
  );
}

async function spoilReport(hostname: string): Promise<void> {
  await replica.pool.run(
    (sql) => sql`UPDATE input_queue
      SET payload = replace(payload::text, 'closure-old', 'closure\\u0000')::json
      WHERE hostname = ${hostname}`,
  );
}

it('drops what was reduced onto a refused batch, and reduces it again', async () => {
  await queue([heartbeat('spoilt'), heartbeat('next')]);
  await spoilReport('spoilt');
  await replica.lead();
  expect(await submit({ kind: 'Tick' })).toMatchObject({ verdict: { status: 'applied' } });
  expect((await deadInputs()).map(({ hostname }) => hostname)).toEqual(['spoilt']);
  expect(await audit((read) => replica.pool.run(read))).toMatchObject(SOUND);
});

/** By a trigger of somebody's, which looks when all else is done, and takes up to so long. */
async function refuseAtCommit(hostnames: string, seconds: number): Promise<void> {
  await replica.pool.run(async (sql) => {
    await sql.unsafe(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_sleep(power(random(), 4) * ${String(seconds)});
        IF NEW.hostname LIKE '${hostnames}' THEN
          RAISE data_exception USING MESSAGE = 'not this one';
        END IF;
        RETURN NULL;
      END $$`);
    await sql.unsafe(`
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON host DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION refuse()`);
  });
}

/**
 * The database's driver sends by an immediate, which it clears when it has sent before. One of ours is a timeout, and Node
 * counts wrongly when it is to clear that as an immediate: whatever the test leaves behind is cleared as what it is.
 */
const { clearImmediate } = globalThis;
beforeAll(() => {
  globalThis.clearImmediate = (timer) => {
    clearTimeout(timer as unknown as NodeJS.Timeout);
    clearImmediate(timer);
  };
});
afterAll(() => {
  globalThis.clearImmediate = clearImmediate;
});

function giveWayFor(ms: () => number): void {
  vi.stubGlobal('setImmediate', (task: () => void) => setTimeout(task, ms()));
}

/** Whoever gives way does so for a while, and does it after each statement that it sends. */
function dawdle(): void {
  giveWayFor(() => 25 * Math.random() ** 2);
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 30));
}

it('undoes what was sent behind a COMMIT that is refused, at whatever moment, and decides it again', async () => {
  const hosts = Array.from({ length: 40 }, (_, i) => `${i % 3 === 1 ? 'spoilt' : 'sound'}-${i}`);
  await queue(hosts.map(heartbeat));
  await refuseAtCommit('spoilt%', 0.06);
  dawdle();
  const term = await replica.lead();
  await eventually(() => replica.pool.run((sql) => sql`SELECT FROM input_queue`)).toHaveLength(0);
  vi.restoreAllMocks();
  const stored = async (table: string): Promise<string[]> => {
    const rows = await replica.pool.run((sql) => sql`SELECT hostname FROM ${sql(table)}`);
    return [...rows].map(({ hostname }) => String(hostname)).sort();
  };
  const [spoilt, sound] = [
    hosts.filter((one) => one.startsWith('spoilt')),
    hosts.filter((one) => one.startsWith('sound')),
  ];
  expect(await stored('dead_input')).toEqual(spoilt.sort());
  expect(await stored('host')).toEqual(sound.sort());
  expect(await audit((read) => replica.pool.run(read))).toMatchObject(SOUND);
  expect(replica.leader.term).toEqual(term);
  const told = replica.log.flatMap((line) => /^committed .*"firstSeq":(\d+)/.exec(line)?.[1] ?? []);
  expect(told).toEqual([...new Set(told)]);
});

it('takes no row of the next batch into a commit whose rows it collects while others run', async () => {
  const fleet = await declareFleet(replica.pool, 1_500, 'abc3');
  const [host = ''] = fleet.hosts;
  await queue([fleet.input, heartbeat(host)]);
  await spoilReport(host);
  // Whoever gives way does so for long enough for the next batch to come.
  giveWayFor(() => 2);
  await replica.lead();
  expect(await submit({ kind: 'Tick' })).toMatchObject({ verdict: { status: 'applied' } });
  expect((await deadInputs()).map(({ kind }) => kind)).toEqual(['HostReport']);
  expect(await audit((read) => replica.pool.run(read))).toMatchObject(SOUND);
});

it('blames no input for what a refused batch would have led to', async () => {
  // A soak beyond the end of time: the first grant of this rollout throws, once a host is heard of.
  const fleet = await declareFleet(replica.pool, 1, 'abc1', 1e300);
  await spoilName(fleet);
  await queue([fleet.input, ...fleet.hosts.map(heartbeat)]);
  const term = await replica.lead();
  expect(await submit({ kind: 'Tick' })).toMatchObject({ verdict: { status: 'applied' } });
  const dead = await deadInputs();
  expect(dead.map(({ kind }) => kind)).toEqual(['ManifestSetUpdated']);
  expect(replica.leader.term).toEqual(term);
  expect(await audit((read) => replica.pool.run(read))).toMatchObject(SOUND);
});

it('looks at nothing for an input whose state was refused, and decides it anew', async () => {
  const fleet = await declareFleet(replica.pool, 1, 'abc2');
  const [host] = fleet.hosts.map(heartbeat);
  if (host === undefined) throw new Error('one host');
  await replica.lead();
  for (const input of [fleet.input, host]) await submit(input);
  await replica.resign();
  // The host has a dispatch now: what its next report means depends on whether that was offered.
  await queue([heartbeat('stranger'), host]);
  await spoilReport('stranger');
  await replica.lead();
  expect(await submit({ kind: 'Tick' })).toMatchObject({ verdict: { status: 'applied' } });
  const dead = await deadInputs();
  expect(dead.map(({ hostname }) => hostname)).toEqual(['stranger']);
  expect(await audit((read) => replica.pool.run(read))).toMatchObject(SOUND);
  const ends = replica.log.filter((line) => line.startsWith('no longer leading'));
  expect(ends).toEqual([]);
});
