/**
 * The leader is killed under load. Agents whose probes change all the time post events without a pause; then
 * SIGKILL. The other replica must lead within two seconds, and afterwards the log must hold every event that
 * was answered with a 2xx, once, whichever leader took it.
 */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { runAgent } from '../../src/agent/agent.ts';
import { seededRandom, systemClock } from '../../src/agent/clock.ts';
import type { Probes } from '../../src/agent/hooks.ts';
import {
  connect,
  disconnect,
  httpArtifacts,
  httpControlPlane,
} from '../../src/agent/http-control-plane.ts';
import { memoryStore, type JournalLine } from '../../src/agent/journal.ts';
import { Manifests } from '../../src/agent/manifests.ts';
import { simulatedHost } from '../../src/agent/simulated-host.ts';
import { auditLog, compareWithLog } from '../../src/cli/dev/audit.ts';
import { readProgress, standing } from '../../src/cli/dev/progress.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { acceptedIn, QUICK, readTrust } from './support/fleet.ts';
import { oneWave } from './support/one-wave.ts';
import { SCHEMA, startReplicas, type Replicas } from './support/replicas.ts';

const REF = 'c0ffee'.padEnd(40, '0');
const HOSTS = Array.from({ length: 60 }, (_, i) => `host-${i + 1}`);
const SOAK_SECONDS = 6;
/** Each agent's probe flips this often, and each flip is an event: more than two replicas can take. */
const FLIP_MS = 20;
/** Rows in the log when the leader is killed: the load is at its height. */
const KILL_AT = 3_000;

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** An observed probe that says something else each time: an event each time. */
function flippingProbes(): Probes {
  let passes = false;
  return {
    declared: [{ probeName: 'flips', kind: 'exec', mode: 'observe' }],
    run: () => {
      passes = !passes;
      return Promise.resolve({ status: passes ? 'pass' : 'fail' });
    },
  };
}

function startBusyFleet(
  endpoint: string,
  hosts: readonly string[],
  trustFile: string,
): Map<string, JournalLine[]> {
  const stop = new AbortController();
  const connections = connect(endpoint, { hosts: hosts.length, requests: hosts.length });
  const identity = (host: string) => ({ 'x-muster-dev-identity': `agent:${host}` });
  const artifacts = httpArtifacts(connections, identity(hosts[0] ?? ''));
  const settings = { freshnessMinutes: 60, reuseMs: 1_000 };
  const manifests = new Manifests(artifacts, readTrust(trustFile), systemClock, settings);
  const journals = new Map<string, JournalLine[]>(hosts.map((host) => [host, []]));
  const agents = [...journals].map(([hostname, lines]) => {
    const misfortunes = { failSwitch: 0, failProbe: 0, deferSwitch: 0 };
    const clock = systemClock;
    const host = { hostname, clock, misfortunes, closure: `old-${hostname}`, seed: 'failover' };
    return runAgent(
      {
        ...{ hostname, clock, manifests, store: memoryStore(lines), probes: flippingProbes() },
        switcher: simulatedHost({ ...host, activationMs: 200 }).switcher,
        controlPlane: httpControlPlane(connections, hostname, identity(hostname)),
        random: seededRandom(hostname),
        log: { info: () => undefined, warn: () => undefined },
        settings: { ...QUICK, probeIntervalMs: FLIP_MS },
      },
      stop.signal,
    );
  });
  undo.push(async () => {
    stop.abort();
    await Promise.all(agents);
    disconnect(connections);
  });
  return journals;
}

async function untilLogGrowsTo(replicas: Replicas, rows: number): Promise<void> {
  while ((await auditLog(replicas.sql, SCHEMA)).logRows < rows) await delay(50);
}

/** Milliseconds until a later epoch than `epoch` has been taken. */
async function takeover({ sql }: Replicas, epoch: number): Promise<number> {
  const from = Date.now();
  for (;;) {
    const [row] = await sql<{ epoch: number }[]>`
      SELECT epoch::int AS epoch FROM ${sql(`${SCHEMA}.epoch`)}`;
    if (row !== undefined && row.epoch > epoch) return Date.now() - from;
    await delay(10);
  }
}

test('kill -9 on the leader: the other leads within 2 s, nothing is lost or applied twice', async () => {
  const dir = makeScratchDir('failover');
  const { key, trustFile } = developmentTrust(dir);
  const sample = oneWave(HOSTS, REF, SOAK_SECONDS);
  const release = releaseOf(dir, sample, key);
  await release.sign(Date.now());
  const flags = ['--heartbeat-seconds', '2'];
  const replicas = await startReplicas({ source: release.source, trustFile, flags });
  undo.push(() => replicas.stop());
  const journals = startBusyFleet(replicas.url, HOSTS, path.resolve(trustFile));

  await untilLogGrowsTo(replicas, KILL_AT);
  const { replica, epoch } = await replicas.leader();
  replica.process.kill('SIGKILL');
  const took = await takeover(replicas, epoch);
  expect(took).toBeLessThan(2_000);
  const after = (await auditLog(replicas.sql, SCHEMA)).logRows;
  await untilLogGrowsTo(replicas, after + 200);

  const ids = release.rolloutIds;
  let progress = await readProgress(replicas.sql, SCHEMA, ids);
  while (standing(progress, ids.length) === 'moving') {
    await delay(100);
    progress = await readProgress(replicas.sql, SCHEMA, ids);
  }
  expect(progress.rollouts.map(({ state }) => state)).toEqual(['Terminal']);
  // Stops the agents, so that nothing is under way any more, before what they were told is compared.
  await undo.pop()?.();
  const accepted = acceptedIn(journals);
  expect(accepted.size).toBeGreaterThan(KILL_AT / 2);
  const found = await compareWithLog(replicas.sql, SCHEMA, accepted, ids);
  expect(found).toEqual({ accepted: accepted.size, missing: [], repeated: [] });
  const audit = await auditLog(replicas.sql, SCHEMA);
  expect(audit).toMatchObject({ seqGapless: true, leaderEpochs: 2 });
});
