/**
 * "What holds it?" has one answer, wherever it is asked: of one host (`host explain`), of a rollout (`rollout show`,
 * its blockers), of the plan, of the whole fleet (`/v1/fleet`, `muster_hosts_blocked`), which is counted in SQL, and in SQL
 * itself (`muster_v1.blocked_hosts`).
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countBlockers, countLateSoaks, countRolloutBlockers } from '../../src/db/blocked.ts';
import { countHosts } from '../../src/db/overview.ts';
import { listHosts } from '../../src/db/hosts.ts';
import { listChannels } from '../../src/db/lists.ts';
import { listRolloutHosts } from '../../src/db/rollouts.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { rebuildTables } from '../../src/eventlog/rebuild.ts';
import { planPreview } from '../../src/reducer/preview.ts';
import { whyHost, whyRollout, type Why } from '../../src/reducer/read/why.ts';
import { hasEnded } from '../../src/reducer/rollout/states.ts';
import { isUnderway } from '../../src/reducer/rollout/step-rollout.ts';
import { dump } from '../../src/reducer/state/rows-io.ts';
import type { FleetState } from '../../src/reducer/state/state.ts';
import { MINUTE, type Millis } from '../../src/reducer/time.ts';
import { action } from '../reducer/support/actions.ts';
import { EPOCH, fleetSpec } from '../reducer/support/fleet-spec.ts';
import { Script } from '../reducer/support/script.ts';
import { World } from '../reducer/support/world.ts';
import { createTestDatabase } from '../support/database.ts';

let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  pool = createPool(database, { role: 'test', max: 1, statementMs: 20_000 });
});
afterAll(() => pool.end());

async function counted(state: FleetState) {
  const rows = dump(state);
  await pool.run((sql) => rebuildTables(sql, rows));
  const declared = [...(state.content?.hosts ?? [])].map(([hostname, { channel }]) => ({
    ...{ hostname, channel },
  }));
  await pool.run(async (sql) => {
    await sql`DELETE FROM declared_host`;
    if (declared.length > 0) await sql`INSERT INTO declared_host ${sql(declared)}`;
  });
  return pool.run(countBlockers);
}

/** Declared now on this rollout's channel, of which it is the newest: a host of the fleet. */
function isOfFleet({ content, channels, live }: FleetState, rolloutId: string, hostname: string) {
  const channel = live.get(rolloutId)?.row.channel ?? '';
  const declared = content?.hosts.get(hostname)?.channel === channel;
  return declared && channels.get(channel)?.currentRolloutId === rolloutId;
}

/** Somebody waits for what this rollout's hosts do. */
function matters(state: FleetState, rolloutId: string, hostname: string) {
  const row = state.live.get(rolloutId)?.row;
  const isNewest = state.channels.get(row?.channel ?? '')?.currentRolloutId === rolloutId;
  return isOfFleet(state, rolloutId, hostname) || (isNewest && isUnderway(row?.state ?? 'Pruned'));
}

function byState(state: FleetState): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [id, { records }] of state.live) {
    for (const { hostname, closed, state: stands } of records.values()) {
      const name = closed === null ? stands : 'closed';
      if (isOfFleet(state, id, hostname)) counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

/** `rollout host` → what holds it there. */
function hostByHost(state: FleetState, now: Millis): Map<string, readonly Why[]> {
  const found = new Map<string, readonly Why[]>();
  for (const hostname of state.hosts.keys()) {
    for (const { rollout, blockers } of whyHost(state, hostname, now).rollouts)
      found.set(`${rollout.rolloutId} ${hostname}`, blockers);
  }
  return found;
}

/** Key by key: whom it holds, and the longest since. */
function together(hosts: ReadonlyMap<string, readonly Why[]>, rolloutId: string) {
  const found = new Map<string, { held: string[]; since: string | null }>();
  for (const [at, blockers] of hosts) {
    const [id, hostname = ''] = at.split(' ');
    if (id !== rolloutId) continue;
    for (const { key, since } of blockers) {
      const group = found.get(key) ?? { held: [], since: null };
      found.set(key, group);
      group.held.push(hostname);
      if (since !== null && (group.since === null || since < group.since)) group.since = since;
    }
  }
  return new Map([...found].map(([key, { held, since }]) => [key, { held: held.sort(), since }]));
}

function rolloutByRollout(state: FleetState, rolloutId: string, now: Millis) {
  const groups = whyRollout(state, rolloutId, now)?.hosts ?? [];
  return new Map(
    groups.map(({ why: { key, since }, held, count }) => {
      expect(held).toHaveLength(count);
      return [key, { held: [...held], since }];
    }),
  );
}

/** As `rollout show --hosts` and the page's grid have it, which is read page by page from the rows. */
async function listedAsBlocked(rolloutId: string): Promise<string[]> {
  const all = { above: [-1, ''], limit: 1_000, all: true, wave: null, state: null } as const;
  const rows = await pool.run((sql) => listRolloutHosts(sql, rolloutId, all));
  return rows.filter(({ blocked }) => blocked).map(({ hostname }) => hostname);
}

function heldIn(hosts: ReadonlyMap<string, readonly Why[]>, rolloutId: string): string[] {
  return [...hosts].flatMap(([at, blockers]) => {
    const [id, hostname = ''] = at.split(' ');
    return id === rolloutId && blockers.length > 0 ? [hostname] : [];
  });
}

function perGate(state: FleetState, hosts: ReadonlyMap<string, readonly Why[]>) {
  const counts: Record<string, number> = {};
  for (const [at, blockers] of hosts) {
    const [id = '', hostname = ''] = at.split(' ');
    if (!matters(state, id, hostname)) continue;
    for (const gate of new Set(blockers.map((blocker) => blocker.gate)))
      counts[gate] = (counts[gate] ?? 0) + 1;
  }
  return counts;
}

/** As `muster_v1` tells it, with since when. */
async function toldBySql(): Promise<string[]> {
  const rows = await pool.run(
    (sql) => sql<{ at: string; gate: string; since: string | null }[]>`
      SELECT rollout_id || ' ' || host AS at, gate, since FROM muster_v1.blocked_hosts`,
  );
  return rows.map(({ at, gate, since }) => `${at} ${gate} ${String(since)}`).sort();
}

/** The same by the core, without the two gates that the view says it leaves out. */
function toldByCore(state: FleetState, hosts: ReadonlyMap<string, readonly Why[]>): string[] {
  const found = [...hosts].flatMap(([at, blockers]) => {
    const [id = '', hostname = ''] = at.split(' ');
    const noted = state.live.get(id)?.blockers.get(hostname)?.gates ?? [];
    const isLeftOut = (key: string) => /^(disruption-budget:|compliance-wave$)/.test(key);
    return blockers
      .filter(({ key }) => noted.includes(key) || !isLeftOut(key))
      .map(({ key, since }) => `${at} ${key} ${String(since)}`);
  });
  return found.sort();
}

function checkPlan(state: FleetState, hosts: ReadonlyMap<string, readonly Why[]>, now: Millis) {
  const { dispatched, blocked } = planPreview(state, now);
  expect(dispatched).toEqual([]);
  for (const { rolloutId, hostname, gates } of blocked) {
    const rollout = state.live.get(rolloutId);
    // What waits in a rollout that ended waits for nothing, and nobody looks at it again.
    if (rollout === undefined || hasEnded(rollout.row.state)) continue;
    // Of one that was granted before, the gates that suspend it: that it is awaited is no gate.
    const told = (hosts.get(`${rolloutId} ${hostname}`) ?? [])
      .map(({ key }) => key)
      .filter((key) => key !== 'dispatch-unacknowledged');
    expect([hostname, told]).toEqual([hostname, gates]);
  }
}

describe('what holds hosts', () => {
  it('is the same of each host, of its rollout, of the plan and of the fleet', async () => {
    const history = fc.tuple(fleetSpec, fc.array(action, { maxLength: 60, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(history, async ([spec, actions]) => {
        const world = new World(spec);
        for (const next of actions) world.act(next);
        world.act({ do: 'wait', minutes: 0 });
        const { state, now } = world;
        const hosts = hostByHost(state, now);
        for (const rolloutId of state.live.keys())
          expect(rolloutByRollout(state, rolloutId, now)).toEqual(together(hosts, rolloutId));
        checkPlan(state, hosts, now);
        expect(await counted(state)).toEqual(perGate(state, hosts));
        expect(await toldBySql()).toEqual(toldByCore(state, hosts));
        expect((await pool.run(countHosts)).states).toEqual(byState(state));
        for (const rolloutId of state.live.keys())
          expect((await listedAsBlocked(rolloutId)).sort()).toEqual(
            heldIn(hosts, rolloutId).sort(),
          );
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  const played = (...lines: readonly string[]): Script => {
    const script = new Script();
    for (const line of lines) script.run(line);
    return script;
  };

  it('counts a full budget of hosts that are held anyway', async () => {
    const script = played(
      ...['budget all max=1', 'channel a', 'wave a soak=0 a1 a2', 'wave a soak=0 a3 a4'],
      ...['heartbeat * c0', 'declare 1'],
    );
    expect(await counted(script.state)).toEqual({
      ...{ 'disruption-budget': 3, 'dispatch-unacknowledged': 1, 'wave-promotion': 2 },
    });
  });

  it('counts failures of earlier waves, of hosts that wait for their wave anyway', async () => {
    const script = played(
      ...['channel a', 'wave a soak=60 a1', 'wave a soak=0 a2 a3', 'wave a soak=0 a4'],
      ...['heartbeat * c0', 'declare 1', 'event a1 ack', 'event a1 completed'],
      'event a1 probe http fail',
    );
    expect(await counted(script.state)).toEqual({ 'compliance-wave': 3, 'wave-promotion': 3 });
    script.run('operator write-off a1');
    expect(await counted(script.state)).toMatchObject({ 'wave-promotion': 1 });
    expect(await counted(script.state)).not.toHaveProperty('compliance-wave');
  });

  it('tells since when a signature is rejected or a channel is declared no more, of what was offered', async () => {
    const script = played(
      ...['channel a', 'wave a soak=0 a1', 'channel b', 'wave b soak=0 b1', 'heartbeat * c0'],
      ...['declare 1', 'offer a1', 'offer b1', 'wait 2m', 'trust reject minute=1', 'wait 2m'],
      ...['trust reject', 'drop b'],
    );
    const told = async () => {
      await counted(script.state);
      const rows = await toldBySql();
      expect(rows).toEqual(toldByCore(script.state, hostByHost(script.state, script.now)));
      const since = (row: string) => (Date.parse(row.split(' ').at(-1) ?? '') - EPOCH) / MINUTE;
      const key = (row: string) => row.split(' ').slice(1, -1).join(' ');
      return rows.map((row): [string, number] => [key(row), Math.floor(since(row))]);
    };
    expect(await told()).toEqual([
      ...[['a1 dispatch-unacknowledged', 0] as const, ['a1 manifest-rejected', 2] as const],
      ...[['b1 dispatch-unacknowledged', 0] as const, ['b1 manifest-rejected', 2] as const],
    ]);
    script.run('declare 2');
    expect((await told()).filter(([key]) => /not-declared/.test(key))).toEqual([
      ['b1 not-declared', 4],
    ]);
  });

  it('counts rollouts that do not get on as a whole, of the newest of each channel', async () => {
    const script = played(
      ...['channel a', 'wave a soak=0 a1 a2 a3', 'channel b', 'wave b soak=0 b1 b2'],
      ...['heartbeat a1 c0', 'declare 1', 'event a1 ack', 'event a1 completed'],
    );
    const rollouts = async () => {
      await counted(script.state);
      return pool.run(countRolloutBlockers);
    };
    expect(await rollouts()).toEqual({ 'fleet-silent': 1 });
    script.run('event a1 converged');
    expect(await rollouts()).toEqual({ 'fleet-silent': 2 });
    script.run('declare 2');
    expect(await rollouts()).toEqual({ 'fleet-silent': 1 });
  });

  it('counts no rollout that is not under way, and whose channel has no host of it any more', async () => {
    const script = played(
      ...['channel a', 'wave a soak=0 a1', 'channel b', 'wave b soak=0 b1', 'heartbeat * c0'],
      ...['declare 1', 'drop b', 'declare 2'],
    );
    await counted(script.state);
    const exceeded = (state: string) =>
      pool.run(async (sql) => {
        await sql`
          UPDATE rollout SET state = ${state}, blockers = '["budget-exceeded:0"]'
          WHERE rollout_id IN ('a@2', 'b@1')`;
        return countRolloutBlockers(sql);
      });
    expect(await exceeded('Active')).toEqual({ 'budget-exceeded': 2 });
    expect(await exceeded('Terminal')).toEqual({ 'budget-exceeded': 1 });
  });

  it('counts no host twice that moved to another channel, and none that is declared nowhere', async () => {
    const script = played(
      ...['channel a', 'wave a soak=0 a1 a2', 'channel b', 'wave b soak=0 b1', 'heartbeat * c0'],
      ...['declare 1', 'event a1 ack', 'event a1 completed', 'event a1 converged'],
    );
    const { content } = script.state;
    if (content === null) throw new Error('nothing is declared');
    const [a1, b1] = [content.hosts.get('a1'), content.hosts.get('b1')];
    if (a1 === undefined || b1 === undefined) throw new Error('they are declared');
    const hosts = new Map([
      ['b1', b1],
      ['a1', { ...a1, channel: 'b' }],
    ] as const);
    script.state.content = { ...content, hosts };
    // a2 holds up its rollout still.
    expect(await counted(script.state)).toEqual({ 'dispatch-unacknowledged': 2 });
    expect(await pool.run(countHosts)).toEqual({ states: { Pending: 1 }, deferrals: 0 });
    const every = { above: '', limit: 9, channel: null, prefix: null, reachability: null };
    const listed = await pool.run((sql) => listHosts(sql, { ...every, state: null }));
    expect(
      listed.map(({ hostname, channel, is_counted }) => [hostname, channel, is_counted]),
    ).toEqual([
      ['a1', 'b', false], // the rollout of b is older than its move
      ['a2', '', false],
      ['b1', 'b', true],
    ]);
    const pending = await pool.run((sql) => listHosts(sql, { ...every, state: 'Pending' }));
    expect(pending.map(({ hostname }) => hostname)).toEqual(['b1']);
  });

  it('counts who holds up a rollout under way, wherever it is declared by now', async () => {
    const script = played(
      ...['budget all max=3', 'channel a finish-first', 'wave a soak=5 a1 a2 a3 a4'],
      ...['wave a soak=5 a5', 'channel b'],
      ...['heartbeat * c0', 'declare 1', 'event a1 ack', 'event a1 completed'],
      ...['event a1 probe http fail', 'event a2 ack', 'event a3 ack', 'event a3 deferred'],
      ...['silent a2', 'wait 6m'],
    );
    const held = {
      ...{ 'disruption-budget': 1, 'dispatch-unacknowledged': 1, 'reboot-pending': 1 },
      ...{ 'soak-overdue': 1, 'unreachable-move': 1, 'wave-promotion': 1 },
    };
    expect(await counted(script.state)).toMatchObject(held);
    const before = await pool.run(countBlockers);
    const { content } = script.state;
    if (content === null) throw new Error('nothing is declared');
    const hosts = new Map(
      [...content.hosts].map(([name, host]) => [name, { ...host, channel: 'b' }]),
    );
    script.state.content = { ...content, hosts };
    expect(await counted(script.state)).toEqual(before);
    await pool.run((sql) => sql`UPDATE host_blocker SET since = now() - interval '1 hour'`);
    expect(await pool.run(countLateSoaks)).toBe(1);
    expect((await pool.run(countHosts)).states).toEqual({});
    // What is not under way any more concerns the hosts of its channel only.
    await pool.run((sql) => sql`UPDATE rollout SET state = 'Terminal'`);
    expect([await pool.run(countBlockers), await pool.run(countLateSoaks)]).toEqual([{}, 0]);
  });

  it('names the rollout that a channel left unfinished when it was declared no more', async () => {
    const script = played('channel a', 'wave a soak=0 a1', 'heartbeat * c0', 'declare 1');
    await counted(script.state);
    const note = async () => {
      const all = { above: '', only: null, limit: 9 };
      return (await pool.run((sql) => listChannels(sql, all)))[0]?.note;
    };
    expect(await note()).toBeNull();
    await pool.run((sql) => sql`UPDATE channel SET declared_ref = NULL`);
    expect(await note()).toBe('no-release');
    const stands = (state: string) =>
      pool.run((sql) => sql`UPDATE rollout SET state = ${state}::text`);
    await stands('Failed'); // and goes on no more
    expect(await note()).toBeNull();
    await pool.run((sql) => sql`UPDATE channel SET freshness_window = 0`);
    for (const unfinished of ['Failed', 'Reverted', 'Active']) {
      await stands(unfinished);
      expect(await note()).toBe('not-declared');
    }
    await stands('Cancelled');
    expect(await note()).toBeNull();
  });

  it('counts whose soak is over, and for how many it is long', async () => {
    const script = played(
      ...['channel a', 'wave a soak=5 a1', 'heartbeat * c0', 'declare 1', 'event a1 ack'],
      ...['event a1 completed', 'event a1 probe http fail', 'wait 6m'],
    );
    const late = async (ago: string) => {
      expect(await counted(script.state)).toEqual({ 'soak-overdue': 1 });
      await pool.run((sql) => sql`UPDATE host_blocker SET since = now() - ${ago}::interval`);
      return pool.run(countLateSoaks);
    };
    expect(await late('9 minutes')).toBe(0);
    expect(await late('11 minutes')).toBe(1);
  });

  it('counts who waits for a reboot, and what keeps a granted dispatch back', async () => {
    const script = played(
      ...['channel a', 'wave a soak=0 a1 a2 a3', 'heartbeat * c0', 'declare 1', 'event a1 ack'],
      ...['event a1 deferred', 'offer a2', 'offer a3', 'operator pause', 'operator hold a2'],
    );
    expect(await counted(script.state)).toEqual({
      ...{ 'reboot-pending': 1, 'dispatch-unacknowledged': 2, paused: 2, 'host-hold': 1 },
    });
    const { state, now } = script;
    expect(await toldBySql()).toEqual(toldByCore(state, hostByHost(state, now)));
    script.run('operator pause a');
    // A host that both pauses hold is one host.
    expect(await counted(script.state)).toMatchObject({ paused: 2 });
  });
});
