/**
 * An upgrade from the release before to this one, as it is done: the new schema under the old processes, then one
 * process after the other, under load, behind a balancer that goes by readiness. No agent sees anything worse than
 * a 503 that says when to come back, and nothing is lost, whichever build took it and whichever build decided it: no
 * event, and no parked long poll.
 */
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startBalancer } from '../../src/cli/dev/balancer.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { BenchDatabase } from '../faults/suite/bench/database.ts';
import { Member } from '../faults/suite/bench/member.ts';
import { check } from '../faults/suite/check.ts';
import { describe, outcomeOf, type Attempt } from '../faults/suite/load/history.ts';
import { startLoad } from '../faults/suite/load/load.ts';
import { oneWave } from '../e2e/support/one-wave.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { runContainer } from './support/container.ts';
import { formerBuild, hasHistory } from './support/former-build.ts';
import { ParkedPolls } from './support/parked-polls.ts';

const NEW = path.resolve('dist');
const HOSTS = Array.from({ length: 40 }, (_, i) => `host-${String(i + 1).padStart(2, '0')}`);
const REF = 'ab9de'.padEnd(40, '0');
const NEXT_REF = 'ab9df'.padEnd(40, '0');
/** Longer than the test: hosts report while they soak. */
const SOAK_SECONDS = 36_000;
/** Answered between two steps, so that each is taken under load. */
const BETWEEN = 300;
const WITHIN_MS = 60_000;
/** As in production. The balancer notices in a fraction of it, but for a machine that is too busy. */
const FLAGS = ['--drain-delay-seconds', '5'];
/** As agents do: less would call late what is not. */
const TIMEOUT_MS = 10_000;

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function migrateWith(dist: string, databaseUrl: string): Promise<void> {
  const job = runContainer(['node', path.join(dist, 'cli/muster.js'), 'migrate'], {
    MUSTER_DATABASE_URL: databaseUrl,
  });
  expect([await job.exit(), job.log()]).toEqual([0, expect.any(String)]);
}

/**
 * What a build's `muster replay --verify` finds. One that cannot read what a newer one writes says so, and one that
 * compares columns which it does not read finds nothing in the table, not even null.
 */
async function replayed(dist: string, databaseUrl: string) {
  const args = ['node', path.join(dist, 'cli/muster.js'), 'replay', '--verify', '--json'];
  const job = runContainer(args, { MUSTER_DATABASE_URL: databaseUrl });
  await job.exit();
  const line = job
    .log()
    .split('\n')
    .find((text) => text.startsWith('{"ok"'));
  const answer = JSON.parse(line ?? '{}') as {
    readonly ok?: boolean;
    readonly error?: string;
    readonly differences?: readonly { readonly stored?: unknown }[];
  };
  if (answer.error?.includes('a log payload of an unknown version') === true) return 'too new';
  return answer.ok === true || answer.differences?.every((one) => !('stored' in one)) === true
    ? 'equal'
    : job.log();
}

async function signRelease(dir: string, ref: string) {
  const { key, trustFile } = developmentTrust(dir);
  const release = releaseOf(dir, oneWave(HOSTS, ref, SOAK_SECONDS), key);
  await release.sign(Date.now());
  return { source: release.source, trustFile };
}

/** How many long polls a process holds. */
async function parkedOn({ port }: Member): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^muster_api_parked_polls(?:\{.*\})? (\d+)$/m.exec(metrics)?.[1] ?? 'NaN');
}

async function startMembers(database: BenchDatabase, dir: string, dist: string) {
  const { source, trustFile } = await signRelease(dir, REF);
  const common = { dist, databaseUrl: database.url, source, trustFile, dir };
  const members: Member[] = [];
  for (const name of ['a', 'b']) {
    const member = await Member.create({ ...common, name, flags: FLAGS });
    undo.push(() => member.close());
    member.start();
    members.push(member);
  }
  for (const member of members) await member.untilReady();
  return members;
}

/** Whatever an agent or an operator had to be told that was no 2xx, and is no invitation to come again. */
function failuresOf(attempts: readonly Attempt[]): string[] {
  return attempts
    .filter((attempt) => outcomeOf(attempt) !== 'ok' && attempt.status !== 503)
    .map(describe);
}

test.skipIf(!hasHistory())(
  'no agent notices an upgrade, and nothing is lost',
  async () => {
    const dir = makeScratchDir('upgrade');
    chmodSync(dir, 0o755); // as root, PostgreSQL runs as nobody
    const database = await BenchDatabase.start(path.join(dir, 'postgres'));
    undo.push(() => database.close());
    const old = formerBuild();
    await migrateWith(old, database.url.href);
    const members = await startMembers(database, dir, old);
    const balancer = await startBalancer(
      0,
      members.map(({ port }) => port),
    );
    undo.push(() => balancer.close());
    await eventually(() => balancer.isReady()).toBe(true);
    const load = await startLoad(balancer.port, HOSTS, { timeoutMs: TIMEOUT_MS });
    undo.push(() => load.end());
    const { attempts } = load.history;
    const polls = new ParkedPolls(balancer.port, HOSTS);
    undo.push(() => polls.end());
    load.start();
    await load.more(BETWEEN, WITHIN_MS);

    await migrateWith(NEW, database.url.href);
    await load.more(BETWEEN, WITHIN_MS);
    expect(failuresOf(attempts)).toEqual([]);

    for (const member of members) {
      expect(await parkedOn(member)).toBeGreaterThan(0);
      await member.signal('SIGTERM');
      member.start(NEW);
      await member.untilReady();
      await load.more(BETWEEN, WITHIN_MS);
      expect([member.name, failuresOf(attempts), polls.wrong]).toEqual([member.name, [], []]);
    }
    await load.stop();
    // A poll that is still parked somewhere hears of the next release: none was forgotten.
    expect([...polls.dispatched]).toEqual([]);
    await signRelease(dir, NEXT_REF);
    await eventually(() => [...polls.dispatched.keys()].sort(), { timeout: WITHIN_MS }).toEqual(
      HOSTS,
    );
    expect([...new Set(polls.dispatched.values())].filter((to) => !to.startsWith('ab9df'))).toEqual(
      [],
    );
    expect(polls.wrong).toEqual([]);
    const found = await check(database, attempts, { dead: 0 });
    expect(found).toEqual({ lost: 0, duplicated: 0, gaps: 0, wrong: [] });
    expect(await replayed(NEW, database.url.href)).toBe('equal');
    expect(['equal', 'too new']).toContain(await replayed(old, database.url.href));
  },
  240_000,
);
