/**
 * A database restored from a disk snapshot has forgotten what agents were told is safe. `muster restored` says so,
 * readers of the log notice, and the agents, asked by the answers to their heartbeats, bring back what is missing:
 * every event that was ever answered with a 2xx is in the log again, once.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Bench } from '../faults/suite/bench/bench.ts';
import { check } from '../faults/suite/check.ts';
import { eventually } from '../support/eventually.ts';
import { runContainer } from './support/container.ts';

const DIST = path.resolve('dist');
/** Answered before the snapshot, and after it: what is forgotten. */
const EVENTS = 300;
const WITHIN_MS = 60_000;

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** As a volume snapshot would: the files of a cluster that is down, owners and all. */
async function snapshot(bench: Bench): Promise<string> {
  const copy = path.join(bench.dir, 'snapshot');
  await bench.database.stop('fast');
  execFileSync('cp', ['-a', bench.database.dataDir, copy]);
  await bench.database.startAgain();
  await bench.heal();
  return copy;
}

async function restore(bench: Bench, copy: string): Promise<void> {
  for (const member of bench.members) await member.signal('SIGKILL');
  await bench.database.stop('immediate');
  execFileSync('rm', ['-r', bench.database.dataDir]);
  execFileSync('cp', ['-a', copy, bench.database.dataDir]);
  await bench.database.startAgain();
}

/** When the process last found another database, as its metrics say: what MusterDatabaseChanged looks at. */
async function foundOther({ members }: Bench): Promise<number[]> {
  const pages = members.map(async ({ port }) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^muster_leader_new_database_time_seconds(?:\{.*\})? (\S+)$/m.exec(text)?.[1]);
  });
  return Promise.all(pages);
}

async function cursorOf(bench: Bench): Promise<string> {
  const page = await tail(bench, 'last=1');
  const { cursor } = (await page.json()) as { cursor: string };
  return cursor;
}

function tail({ members }: Bench, query: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${members[0]?.port ?? 0}/v1/events?${query}`, {
    headers: { 'x-muster-dev-identity': 'operator:auditor' },
  });
}

test('what a restored database forgot comes back from the agents', async () => {
  const bench = await Bench.start({ dist: DIST, eventsOnly: true });
  undo.push(() => bench.close());
  const { load, database } = bench;
  load.start();
  await load.more(EVENTS, WITHIN_MS);
  const copy = await snapshot(bench);
  await load.more(EVENTS, WITHIN_MS);
  await load.stop();
  const cursor = await cursorOf(bench);
  const told = load.history.ok.event;

  expect(Math.max(...(await foundOther(bench)))).toBe(0);
  const restoring = Date.now() / 1_000;
  await restore(bench, copy);
  const said = runContainer(['node', path.join(DIST, 'cli/muster.js'), 'restored', '--json'], {
    MUSTER_DATABASE_URL: database.url.href,
  });
  expect([await said.exit(), said.log()]).toEqual([0, expect.stringContaining('incarnation')]);
  const before = await check(database, load.history.attempts, { dead: 0 });
  // Some were answered after the snapshot and stored before it: the load went on.
  expect(before.lost).toBeGreaterThanOrEqual(EVENTS / 2);

  await bench.heal();
  // Who leads is committed just before it is told.
  await eventually(async () => Math.max(...(await foundOther(bench)))).toBeGreaterThanOrEqual(
    restoring,
  );
  expect((await tail(bench, `after=${encodeURIComponent(cursor)}`)).status).toBe(409);
  // Heartbeats go on: one that is itself an input for the leader is not asked, the next one is.
  const found = () => check(database, load.history.attempts, { dead: 0 });
  do await Promise.all(load.streams.map((stream) => stream.replay()));
  while ((await found()).lost > 0);
  expect(await found()).toEqual({ lost: 0, duplicated: 0, gaps: 0, wrong: [] });
  expect(told).toBeGreaterThan(2 * EVENTS);
}, 240_000);
