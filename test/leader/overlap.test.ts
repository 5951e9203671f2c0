/** One batch is reduced while the one before commits: when that one is refused, it never happened. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/telemetry.ts';
import { STRETCH_MS } from '../../src/leader/turns.ts';
import { audit } from '../../src/eventlog/audit.ts';
import { createTestDatabase } from '../support/database.ts';
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

it('takes no row of the next batch into a commit whose rows it collects while others run', async () => {
  const fleet = await declareFleet(replica.pool, 1_500, 'abc3');
  const [host = ''] = fleet.hosts;
  await queue([fleet.input, heartbeat(host)]);
  await spoilReport(host);
  // Whoever gives way does so for long enough for the next batch to come.
  vi.stubGlobal('setImmediate', (task: () => void) => setTimeout(task, 2));
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
