/**
 * Muster's own queue and leader on the same work, each in a process of its own. A job is an event of a host
 * under way, some 200 bytes of payload; its effect is the log row, with the state that follows from it.
 * Arguments: role, URL.
 *
 * Latency is taken from the answer that the producer waits for: later than the effect's commit, which is
 * where it is taken for the others.
 */
import { allocateAllInNursery } from '../../src/cli/nursery.ts';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { startListener } from '../../src/db/listen.ts';
import { createPool } from '../../src/db/pool.ts';
import { createLeader } from '../../src/leader/leader.ts';
import { createSubmitter, type Submitter } from '../../src/queue/submitter.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { createMetrics, silent, systemClock } from '../../src/telemetry.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import {
  declareFleet,
  heartbeat,
  journey,
  type SmallFleet,
} from '../../test/support/small-fleet.ts';
import { pace } from '../pace.ts';

const HOSTS = 1_000;
/** Longer than any run. */
const SOAK_MINUTES = 600;
const WAIT_MS = 30_000;
/** Callers of a burst: as many as the producer would hold jobs in two batches of the others. */
const CALLERS = 2_000;
const LIMITS = { queueRows: 1_000_000, queueAgeMs: 600_000, heldRows: 10_000, batchRows: 1_000 };

// As `muster serve` does.
allocateAllInNursery();
const [role, url = ''] = process.argv.slice(2);
const common = {
  logger: silent,
  metrics: createMetrics(),
  clock: systemClock,
  random: Math.random,
};
const database: DatabaseOptions = { url, schema: 'muster', name: `bench-${role ?? ''}` };
const listener = startListener(database, common);
// A benchmark that is stopped leaves nobody behind.
process.on('disconnect', () => process.exit());
if (role === 'producer') await produce();
else lead();

function say(latencies: readonly number[]): void {
  process.send?.({ done: true, latencies });
}

function lead(): void {
  const leader = createLeader({
    ...common,
    database,
    listener,
    candidate: { holder: 'bench', address: 'none', version: 'bench' },
    settings: DEFAULT_SETTINGS,
    batchRows: LIMITS.batchRows,
  });
  void leader.run(new AbortController().signal);
  process.on('message', () => {
    say([]);
  });
  say([]);
}

interface Order {
  readonly jobs: number;
  readonly perSecond: number | null;
}

async function produce(): Promise<void> {
  const submitter = createSubmitter({
    ...common,
    database,
    replica: 'bench',
    listener,
    limits: LIMITS,
  });
  const pool = createPool(database, { role: 'bench', max: 1, statementMs: WAIT_MS });
  const fleet = await declareFleet(pool, HOSTS, 'be9c4', SOAK_MINUTES);
  await move(fleet, submitter);
  const next = events(fleet);
  process.on('message', ({ jobs, perSecond }: Order) => {
    const work =
      perSecond === null ? burst(submitter, next, jobs) : paced(submitter, next, jobs, perSecond);
    void work.then(say);
  });
  say([]);
}

/** Every host to its soak. */
async function move(fleet: SmallFleet, submitter: Submitter): Promise<void> {
  const submit = (input: StoredInput) => submitter.submit(input, { waitMs: WAIT_MS });
  await submit(fleet.input);
  await Promise.all(
    fleet.hosts.map(async (host) => {
      await submit(heartbeat(host));
      for (const event of journey(fleet, host).slice(0, 3)) await submit(event);
    }),
  );
}

/** One probe result after the other, host by host. */
function events({ hosts, rolloutId }: SmallFleet): () => StoredInput {
  let made = 0;
  return () => {
    const hostname = hosts[made % hosts.length] ?? '';
    const seq = 4 + Math.floor(made / hosts.length);
    made += 1;
    const status = seq % 2 === 0 ? 'pass' : 'fail';
    const observedAt = new Date().toISOString();
    const probe = { probeName: 'nginx', mode: 'observe', status, observedAt } as const;
    return {
      kind: 'AgentEvent',
      hostname,
      rolloutId,
      event: { kind: 'ProbeResult', seq, ...probe },
    };
  };
}

async function burst(
  submitter: Submitter,
  next: () => StoredInput,
  jobs: number,
): Promise<number[]> {
  let left = jobs;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const { status } = await submitter.submit(next(), { waitMs: 0 });
      if (status !== 'queued') throw new Error(`a job is ${status}`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return [];
}

async function paced(
  submitter: Submitter,
  next: () => StoredInput,
  jobs: number,
  perSecond: number,
): Promise<number[]> {
  const latencies: number[] = [];
  const adding: Promise<void>[] = [];
  const add = async (dueAt: number): Promise<void> => {
    const { status } = await submitter.submit(next(), { waitMs: WAIT_MS });
    if (status !== 'judged') throw new Error(`a job is ${status}`);
    latencies.push(performance.now() - dueAt);
  };
  await pace(jobs, perSecond, (dueAt) => adding.push(add(dueAt)));
  await Promise.all(adding);
  return latencies;
}
