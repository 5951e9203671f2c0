/** A host that waits in its newest rollout, while an older one had dispatched it already: `host explain` names both. */
import { expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { fakeServer } from './fake-server.ts';
import { run } from './support.ts';

const AT = '2026-05-16T01:27:01.000Z';
const blocker = (gate: string, key: string) => ({
  ...{ gate, key, because: 'it is', releasedBy: 'it is not', since: AT, hosts: [], total: 0 },
});
const inRollout = (channel: string, ...blockers: object[]) => ({
  ...{ rolloutId: `${channel}@1`, channel, rolloutState: 'Opening', currentWave: 0 },
  ...{ seq: 1, wave: 0, state: 'Pending', targetClosureHash: 'c1', lastEventSeq: 0 },
  ...{ probes: {}, failures: [], blockers },
});

it('names a dispatch that is in force in another rollout', async () => {
  const edge = blocker('channel-edges', 'channel-edges:soaky');
  const gone = blocker('not-declared', 'not-declared');
  const dispatch = { enqueuedAt: AT, suspended: true };
  const host = {
    ...{ hostname: 'g2', seq: 1, reachability: 'reachable', commandChannels: [] },
    blockers: [edge],
    rollouts: [inRollout('gated2', edge), { ...inRollout('gated', gone), dispatch }],
  };
  const server = await fakeServer(({ pathname }) =>
    pathname === '/v1/hosts/g2' ? host : undefined,
  );
  const explain = () =>
    run((rest, io) => runNoun('host', rest, io, { MUSTER_URL: server.url }), 'explain', 'g2');
  const { stdout, stderr } = await explain();
  server.close();
  expect(stderr).toBe('');
  expect(stdout).toContain('channel-edges:soaky');
  expect(stdout).toMatch(/^dispatched in gated@1 too, .* ago, not offered now \(not-declared\)$/m);
});
