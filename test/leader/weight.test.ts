/** A batch ends before its commit has much to write, which the size of its inputs does not tell. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import { BATCH_BYTES } from '../../src/leader/weight.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { commitNo, startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat, journey, type SmallFleet } from '../support/small-fleet.ts';
import type { StoredInput } from '../../src/wire/input.ts';

const HOSTS = 30;
const PROBES = 80;
const REASON_CHARS = 900;
/** The seq behind a journey. */
const FIRST = 5;

let replica: Replica;
let fleet: SmallFleet;
beforeEach(async () => {
  replica = startReplica((await createTestDatabase()).url, 'a');
  fleet = await declareFleet(replica.pool, HOSTS, 'abc3', 60);
  await replica.lead();
  await submit(fleet.input);
  await Promise.all(fleet.hosts.map((host) => submit(heartbeat(host))));
  await submit({ kind: 'Tick' });
  for (const host of fleet.hosts) {
    for (const input of journey(fleet, host)) await submit(input);
  }
});
afterEach(() => replica.stop());

const submit = (input: StoredInput, waitMs = 20_000) => replica.submitter.submit(input, { waitMs });

const failing = (hostname: string, seq: number, probe: number): StoredInput => ({
  ...{ kind: 'AgentEvent', hostname, rolloutId: fleet.rolloutId },
  event: {
    ...{ kind: 'ProbeResult', seq, probeName: `probe-${String(probe)}`, mode: 'observe' },
    ...{ status: 'fail', observedAt: new Date().toISOString() },
    failureReason: 'r'.repeat(REASON_CHARS),
  },
});

/** Commits that decide one event of each host, all of them queued before. */
async function commitsOfOneEventEach(seq: number): Promise<number> {
  await replica.resign();
  const verdicts = fleet.hosts.map((host) => submit(failing(host, seq, 0)));
  const queued = (sql: Sql) => sql`SELECT FROM input_queue`;
  await eventually(() => replica.pool.run(queued)).toHaveLength(HOSTS);
  await replica.lead();
  for (const verdict of verdicts) {
    expect(await verdict).toMatchObject({ status: 'judged', verdict: { status: 'applied' } });
  }
  // Numbered anew in each term; the first is the term's own.
  return (await commitNo(replica.pool)) - 1;
}

it('ends early where each of its hosts has much to tell', async () => {
  expect(await commitsOfOneEventEach(FIRST)).toBe(1);
  for (let probe = 1; probe < PROBES; probe += 1) {
    await Promise.all(fleet.hosts.map((host) => submit(failing(host, FIRST + probe, probe))));
  }
  expect(HOSTS * PROBES * REASON_CHARS).toBeGreaterThan(BATCH_BYTES);
  expect(HOSTS * PROBES * REASON_CHARS).toBeLessThan(2 * 2_000_000);
  expect(await commitsOfOneEventEach(FIRST + PROBES)).toBe(2);
});
