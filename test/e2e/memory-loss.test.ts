/**
 * One side forgets, the other remembers: agents whose journals are gone take up what the control plane
 * knows, and a control plane whose database is gone learns from its agents. Neither switches a host again.
 */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { JournalLine } from '../../src/agent/journal.ts';
import { hostStates, readProgress } from '../../src/cli/dev/progress.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { eventually } from '../support/eventually.ts';
import { openDoor } from '../support/late-port.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { startFleet, type TestFleet } from './support/fleet.ts';
import { oneWave } from './support/one-wave.ts';
import { SCHEMA, startReplicas, type Replicas } from './support/replicas.ts';

const REF = 'deadbeef'.repeat(5);
const ID = `stable@${REF}`;
const HOSTS = ['host-1', 'host-2', 'host-3'];
const target = (host: string): string => `${REF.slice(0, 8)}-system-${host}`;

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function releaseWith(
  soakSeconds: number,
): Promise<{ readonly source: string; readonly trustFile: string }> {
  const dir = makeScratchDir('memory');
  const { key, trustFile } = developmentTrust(dir);
  const release = releaseOf(dir, oneWave(HOSTS, REF, soakSeconds), key);
  await release.sign(Date.now());
  return { source: release.source, trustFile: path.resolve(trustFile) };
}

async function replicasFor(
  release: { readonly source: string; readonly trustFile: string },
  heartbeatSeconds = 2,
): Promise<Replicas> {
  const flags = ['--heartbeat-seconds', String(heartbeatSeconds)];
  const replicas = await startReplicas({ ...release, flags });
  undo.push(() => replicas.stop());
  return replicas;
}

function fleetFor(
  replicas: Replicas,
  trustFile: string,
  more: Partial<Parameters<typeof startFleet>[0]> = {},
): TestFleet {
  const fleet = startFleet({ endpoint: replicas.url, hosts: HOSTS, trustFile, ...more });
  undo.push(() => fleet.stop());
  return fleet;
}

async function until({ sql }: Replicas, state: string): Promise<void> {
  for (;;) {
    const [rollout] = (await readProgress(sql, SCHEMA, [ID])).rollouts;
    if (rollout !== undefined && hostStates(rollout)[state] === HOSTS.length) return;
    await delay(50);
  }
}

/** How often each host said that it began a switch. */
function switches(journals: ReadonlyMap<string, readonly JournalLine[]>): number[] {
  return [...journals.values()].map(
    (lines) =>
      lines.filter((line) => line.t === 'event' && line.event.kind === 'ActivationStarted').length,
  );
}

/** Of the simulated host, as it soaks: until the soak is over it has nothing more to say. */
const PROBES = 2;

/**
 * Every host has said what there is to say in its soak, and was answered. An agent that ends while an event of its is
 * under way leaves a doubt whether it was lost, and for five minutes no snapshot may overtake it.
 */
function isQuiet(journals: ReadonlyMap<string, readonly JournalLine[]>): boolean {
  return HOSTS.every((host) => {
    const lines = journals.get(host) ?? [];
    const events = lines.flatMap((line) => (line.t === 'event' ? [line.event.kind] : []));
    // Once for each delivery, and a replay delivers again.
    const settled = new Set(lines.flatMap((line) => (line.t === 'settled' ? [line.seq] : [])));
    const probed = events.filter((kind) => kind === 'ProbeResult').length;
    return probed === PROBES && settled.size === events.length;
  });
}

test('agents that lost their journals in the soak finish it', async () => {
  const release = await releaseWith(5);
  const replicas = await replicasFor(release);
  const lost = new Map<string, JournalLine[]>();
  const before = fleetFor(replicas, release.trustFile, { journals: lost });
  // Some may be through on a busy machine: their soaks neither begin nor end together.
  await eventually(() => isQuiet(lost), { timeout: 60_000 }).toBe(true);
  await before.stop();
  const journals = new Map<string, JournalLine[]>();
  fleetFor(replicas, release.trustFile, { journals, closureOf: target });
  await until(replicas, 'Converged');
  expect(switches(journals)).toEqual([0, 0, 0]);
});

test('a control plane that lost its database learns from its agents where they are', async () => {
  const release = await releaseWith(1);
  const first = await replicasFor(release);
  const journals = new Map<string, JournalLine[]>();
  const fleet = fleetFor(first, release.trustFile, { journals });
  await until(first, 'Converged');
  await fleet.stop();
  await first.stop();
  const second = await replicasFor(release);
  const again = fleetFor(second, release.trustFile, { journals });
  await until(second, 'Converged');
  expect(switches(journals)).toEqual([1, 1, 1]);
  await again.stop();
});

/** How many hosts an operator sees as reachable. */
async function seen({ url }: Replicas): Promise<number> {
  const answer = await fetch(`${url}/v1/hosts?reachability=reachable`, {
    headers: { 'x-muster-dev-identity': 'operator:ada' },
  });
  return ((await answer.json()) as { hosts: unknown[] }).hosts.length;
}

test('a control plane that lost its database sees all agents, who ran on, within a heartbeat interval', async () => {
  const INTERVAL_MS = 10_000;
  const release = await releaseWith(1);
  const first = await replicasFor(release, INTERVAL_MS / 1_000);
  const door = await openDoor(new URL(first.url));
  undo.push(() => door.close());
  const endpoint = `http://127.0.0.1:${door.port}`;
  fleetFor(first, release.trustFile, { endpoint, heartbeatMs: INTERVAL_MS });
  await until(first, 'Converged');
  door.leadTo(null);
  await first.stop();
  const second = await replicasFor(release, INTERVAL_MS / 1_000);
  expect(await seen(second)).toBe(0);
  door.leadTo(new URL(second.url));
  await eventually(() => seen(second), { timeout: INTERVAL_MS }).toBe(HOSTS.length);
});
