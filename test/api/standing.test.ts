/** What the fleet says of itself as a whole must be what its hosts say one by one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unnamed } from '../../src/cli/operate/show.ts';
import type { RolloutBlockers } from '../../src/wire/why.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica as startLeading, type Replica as Leading } from '../support/installation.ts';
import { declareFleet } from '../support/small-fleet.ts';
import { startReplica, type Replica } from './support/fakes.ts';

/** More than one answer names, and one in a second wave. */
const HOSTS = 61;
let leading: Leading;
let replica: Replica;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  leading = startLeading(url, 'a');
  await leading.lead();
  // The second release supersedes the first, which nobody had begun.
  for (const ref of ['abc1', 'abc2']) {
    const { input } = await declareFleet(leading.pool, HOSTS, ref, 0, 1);
    await leading.submitter.submit(input, { waitMs: 5_000 });
  }
  replica = await startReplica(url);
});
afterAll(async () => {
  await replica.stop();
  await leading.stop();
});

async function get<T>(url: string): Promise<T> {
  const headers = { 'x-muster-dev-identity': 'operator:ada' };
  const answer = await replica.api.app.inject({ url, headers });
  expect([url, answer.statusCode]).toEqual([url, 200]);
  return answer.json<T>();
}

describe('after a release superseded another', () => {
  it('counts as held who is held in the newest rollout of its channel', async () => {
    const { hosts } = await get<{ hosts: { hostname: string }[] }>('/v1/hosts');
    const said: Record<string, number> = {};
    for (const { hostname } of hosts) {
      const { blockers } = await get<{ blockers: { gate: string }[] }>(`/v1/hosts/${hostname}`);
      for (const gate of new Set(blockers.map((one) => one.gate))) {
        said[gate] = (said[gate] ?? 0) + 1;
      }
    }
    const { blockers } = await get<{ blockers: Record<string, number> }>('/v1/fleet');
    expect(hosts).toHaveLength(HOSTS);
    expect(blockers).toEqual(said);
  });

  it('says how many hosts are behind a gate, where it does not name them all', async () => {
    const { hosts } = await get<RolloutBlockers>('/v1/rollouts/stable@abc2/blockers');
    const wave = hosts.find(({ gate }) => gate === 'wave-promotion');
    expect(wave).toMatchObject({ held: 1, total: 60 });
    expect(wave?.hosts).toHaveLength(50);
    expect(unnamed(60, 50)).toBe('    … and 10 more, 60 in all\n');
    expect(unnamed(50, 50)).toBe('');
  });
});
