/** What operators read over HTTP, over a real leader and the `good` fleet: shapes, pages, filters, reasons. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLongestIdle } from '../../src/db/measure.ts';
import { countBlockers } from '../../src/db/blocked.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import {
  EDGE,
  REF,
  sendCommand,
  sendHeartbeat,
  startHttpServer,
  untilOpened,
  type HttpServer,
} from '../support/http-server.ts';

const OPERATOR = { as: 'operator:ada' };
let server: HttpServer;
let pool: Pool;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 't', max: 1, statementMs: 5_000 },
  );
  server = await startHttpServer(url);
  await untilOpened(server);
});
afterAll(async () => {
  await server.stop();
  await pool.end();
});

async function get<T = Readonly<Record<string, unknown>>>(route: string): Promise<T> {
  const response = await server.call('GET', route, OPERATOR);
  expect([route, response.status]).toEqual([route, 200]);
  return (await response.json()) as T;
}

async function codeOf(route: string): Promise<unknown> {
  const response = await server.call('GET', route, OPERATOR);
  return [response.status, ((await response.json()) as { code: string }).code];
}

const heard = (hostname: string, closure?: string) => sendHeartbeat(server, hostname, closure);
const command = (route: string, reason?: string) => sendCommand(server, route, reason);

interface Blocker {
  readonly gate: string;
  readonly because: string;
  readonly since?: string;
  readonly hosts: readonly { readonly hostname: string; readonly doing: string }[];
}
interface Host {
  readonly seq: number;
  readonly blockers: readonly Blocker[];
  readonly rollouts: readonly { readonly rolloutId: string; readonly dispatch?: object }[];
}

describe('the overview', () => {
  it('counts rollouts, hosts, who is heard, and what holds them', async () => {
    expect(await get('/v1/fleet')).toMatchObject({
      ref: REF,
      rollouts: { Opening: 2 },
      hosts: { Pending: 11 },
      reachability: { never: 11 },
      quarantines: 0,
      deferrals: 0,
    });
    const { blockers } = await get<{ blockers: Record<string, number> }>('/v1/fleet');
    expect(blockers['host-unreachable']).toBe(11);
  });

  it('lists channels, page by page, and one of them', async () => {
    const first = await get<{ channels: { name: string }[]; nextCursor: string }>(
      '/v1/channels?limit=1',
    );
    expect(first.channels.map(({ name }) => name)).toEqual(['edge']);
    const rest = await get<typeof first>(`/v1/channels?cursor=${first.nextCursor}`);
    expect(rest.channels.map(({ name }) => name)).toEqual(['stable']);
    expect(await get('/v1/channels/edge')).toMatchObject({
      name: 'edge',
      declared_ci_commit: REF,
      currentRolloutId: EDGE,
      hosts: 3,
    });
    expect(await codeOf('/v1/channels/none')).toEqual([404, 'not-found']);
    expect(await codeOf('/v1/channels/NONE')).toEqual([400, 'malformed']);
  });

  it('names the leader and the state of the queue', async () => {
    expect(await get('/v1/leader')).toMatchObject({ epoch: 1, version: 'test' });
    expect(await get('/v1/queue')).toMatchObject({ dead: 0, latestDead: [] });
  });
});

describe('a rollout', () => {
  it('has a lifecycle, wave by wave', async () => {
    const life = await get<{ waves: { wave: number; hosts: number; states: object }[] }>(
      `/v1/rollouts/${EDGE}/lifecycle`,
    );
    expect(life).toMatchObject({ rolloutId: EDGE, state: 'Opening', currentWave: 0 });
    expect(life.waves.reduce((sum, wave) => sum + wave.hosts, 0)).toBe(3);
    expect(life.waves[0]).toMatchObject({ wave: 0, states: { Pending: 1 } });
  });

  it('lists all its hosts by wave and name, page by page', async () => {
    interface Page {
      readonly hosts: readonly { readonly host: string; readonly wave: number }[];
      readonly nextCursor?: string;
    }
    const whole = await get<Page>(`/v1/rollouts/${EDGE}/hosts?all=true`);
    expect(whole.hosts.map(({ host }) => host).sort()).toEqual(['canary-01', 'edge-01', 'edge-02']);
    const walked: string[] = [];
    let cursor = '';
    do {
      const page = await get<Page>(`/v1/rollouts/${EDGE}/hosts?all=true&limit=1${cursor}`);
      walked.push(...page.hosts.map(({ host }) => host));
      cursor =
        page.nextCursor === undefined ? '' : `&cursor=${encodeURIComponent(page.nextCursor)}`;
    } while (cursor !== '');
    expect(walked).toEqual(whole.hosts.map(({ host }) => host));
    const none = await get<Page>(`/v1/rollouts/${EDGE}/hosts?all=true&state=Failed`);
    expect(none.hosts).toEqual([]);
    for (const bad of [
      'cursor=x',
      'cursor=1|%25zz',
      'cursor=a|b',
      'state=Lost',
      'wave=x',
      'all=1',
    ]) {
      expect([bad, await codeOf(`/v1/rollouts/${EDGE}/hosts?${bad}`)]).toEqual([
        bad,
        [400, expect.stringMatching(/malformed|bad-cursor/)],
      ]);
    }
  });

  it('lists without its hosts, by channel and by state', async () => {
    interface List {
      readonly rollouts: readonly { readonly rolloutId: string; readonly hostStates?: object }[];
      readonly nextCursor?: string;
    }
    const list = await get<List>('/v1/rollouts?hosts=false&channel=edge&state=Opening');
    expect(list.rollouts).toMatchObject([{ rolloutId: EDGE, currentWave: 0 }]);
    expect(list.rollouts[0]?.hostStates).toBeUndefined();
    expect(list.nextCursor).toBeUndefined();
    expect(await codeOf('/v1/rollouts?state=Lost')).toEqual([400, 'malformed']);
    const ids = async (query: string) =>
      (await get<List>(`/v1/rollouts?${query}`)).rollouts.map(({ rolloutId }) => rolloutId);
    const alike = [await ids(`channel=edge&ref=${REF.slice(0, 4)}`), await ids('ref=ffff')];
    expect([...alike, await ids('state=Failed')]).toEqual([[EDGE], [], []]);
    expect(await codeOf('/v1/rollouts?ref=%25')).toEqual([400, 'malformed']);
    await pool.run((sql) => sql`UPDATE rollout SET state = 'Pruned' WHERE rollout_id = ${EDGE}`);
    expect([await ids('state=Pruned'), await ids('channel=edge')]).toEqual([[EDGE], []]);
    await pool.run((sql) => sql`UPDATE rollout SET state = 'Opening' WHERE rollout_id = ${EDGE}`);
  });

  it('says why its hosts do not move, together', async () => {
    const why = await get<{ hosts: { gate: string; held: number; examples: string[] }[] }>(
      `/v1/rollouts/${EDGE}/blockers`,
    );
    const absent = why.hosts.find(({ gate }) => gate === 'host-unreachable');
    expect(absent).toMatchObject({ held: 3, examples: ['canary-01', 'edge-01', 'edge-02'] });
    expect(await codeOf('/v1/rollouts/edge@beef/blockers')).toEqual([404, 'not-found']);
  });

  it('is answered 304 while nothing was committed', async () => {
    const route = `/v1/rollouts/${EDGE}/lifecycle`;
    const etag = (await server.call('GET', route, OPERATOR)).headers.get('etag') ?? '';
    const again = { ...OPERATOR, headers: { 'if-none-match': etag } };
    expect((await server.call('GET', route, again)).status).toBe(304);
    await command('/v1/fleet/pause');
    expect((await server.call('GET', route, again)).status).toBe(200);
    await command('/v1/fleet/resume');
  });
});

describe('a host', () => {
  it('names every gate that holds it, since when, with who did it', async () => {
    await command('/v1/channels/stable/pause', 'alarms');
    await heard('web-04');
    await command('/v1/hosts/web-04/hold', 'disk is full');
    const host = await get<Host>('/v1/hosts/web-04');
    const gates = host.blockers.map(({ gate }) => gate);
    expect(gates).toEqual(expect.arrayContaining(['paused', 'host-hold']));
    const hold = host.blockers.find(({ gate }) => gate === 'host-hold');
    expect(hold?.because).toMatch(/^ada held it at .*: disk is full$/);
    expect(hold?.since).toMatch(/^20/);
    // It joined the others, which hold since before.
    const others = host.blockers.filter(({ gate }) => gate !== 'host-hold');
    for (const { gate, since } of others)
      expect([gate, since ?? ''] < [gate, hold?.since ?? '']).toBe(true);
    const why = await get<{ hosts: Blocker[] }>(
      `/v1/rollouts/${host.rollouts[0]?.rolloutId ?? ''}/blockers`,
    );
    expect(why.hosts.find(({ gate }) => gate === 'host-hold')?.since).toBe(hold?.since);
    const paused = host.blockers.find(({ gate }) => gate === 'paused');
    expect(paused?.because).toMatch(/^ada paused channel stable at .*: alarms$/);
    await command('/v1/hosts/web-04/release');
    await command('/v1/channels/stable/resume');
    const later = await get<Host>('/v1/hosts/web-04');
    expect(later.blockers.map(({ gate }) => gate)).not.toContain('host-hold');
    expect(later.seq).toBeGreaterThan(host.seq);
  });

  it('says of an earlier wave which hosts are missing, and what each does', async () => {
    const { blockers } = await get<Host>('/v1/hosts/db-01');
    const wave = blockers.find(({ gate }) => gate === 'wave-promotion');
    expect(wave?.because).toContain('wave 0 has 0 of 1 hosts converged');
    expect(wave?.hosts).toEqual([
      {
        hostname: 'web-04',
        state: 'Pending',
        doing: 'held by channel-edges:edge',
      },
    ]);
  });

  it('is dispatched when it is heard, and the plan said so before', async () => {
    await heard('canary-01');
    const { rollouts, blockers } = await get<Host>('/v1/hosts/canary-01');
    expect(rollouts[0]?.dispatch).toMatchObject({ suspended: false });
    expect(blockers).toMatchObject([{ gate: 'dispatch-unacknowledged', total: 1 }]);
    expect(blockers[0]?.because).toMatch(/not fetched by its agent yet$/);
    const why = await get<{ hosts: Blocker[] }>(`/v1/rollouts/${EDGE}/blockers`);
    expect(why.hosts).toContainEqual(
      expect.objectContaining({ gate: 'dispatch-unacknowledged', held: 1 }),
    );
    const plan = await get<{ blocked: { gates: string[]; held: number }[]; dispatched: object }>(
      `/v1/rollouts/${EDGE}/plan`,
    );
    expect(plan).toMatchObject({ dispatched: { total: 0, hosts: [] } });
    expect(plan.blocked.reduce((sum, { held }) => sum + held, 0)).toBe(2);
  });

  it('is found by channel, prefix, state and whether it is heard', async () => {
    const names = async (query: string): Promise<string[]> =>
      (await get<{ hosts: { hostname: string }[] }>(`/v1/hosts?${query}`)).hosts.map(
        ({ hostname }) => hostname,
      );
    expect(await names('channel=edge')).toEqual(['canary-01', 'edge-01', 'edge-02']);
    expect(await names('prefix=web-0')).toEqual(expect.arrayContaining(['web-01', 'web-04']));
    expect(await names('reachability=reachable')).toEqual(['canary-01', 'web-04']);
    expect(await names('state=Pending&channel=edge&limit=2')).toEqual(['canary-01', 'edge-01']);
    expect(await names('state=Failed')).toEqual([]);
    expect(await names('state=closed')).toEqual([]);
    await heard('stranger-01');
    expect(await names('prefix=stranger')).toEqual(['stranger-01']);
    expect(await names('limit=1&cursor=stable-99')).toEqual(['stranger-01']);
    expect(await codeOf('/v1/hosts?reachability=maybe')).toEqual([400, 'malformed']);
    expect(await codeOf('/v1/hosts/nobody')).toEqual([404, 'not-found']);
    expect(await codeOf('/v1/hosts/a%20b')).toEqual([400, 'malformed']);
  });
});

describe('what is set aside', () => {
  it('lists quarantines and deferrals, of a channel too', async () => {
    expect(await get('/v1/quarantines')).toEqual({ quarantines: [] });
    expect(await get('/v1/deferrals?channel=edge')).toEqual({ deferrals: [] });
    expect(await codeOf('/v1/quarantines?cursor=x')).toEqual([400, 'bad-cursor']);
  });

  it('counts quarantined closures, and which of them are declared now', async () => {
    await pool.run(
      (sql) => sql`INSERT INTO quarantine (channel, closure, seq, rollout_id, hostname, at)
        SELECT channel, c, 1, ${EDGE}, hostname, now()
        FROM declared_host, unnest(ARRAY[closure, 'gone']) AS c WHERE hostname = 'canary-01'`,
    );
    expect(await get('/v1/fleet')).toMatchObject({ quarantines: 2, declaredQuarantines: 1 });
    await pool.run((sql) => sql`DELETE FROM quarantine`);
  });

  const posted = async (event: object): Promise<void> => {
    const body = { hostname: 'canary-01', rolloutId: EDGE, event };
    const response = await server.call('POST', '/v1/agent/events', { as: 'agent:canary-01', body });
    expect([response.status, response.headers.get('x-muster-verdict')]).toEqual([204, null]);
  };

  it('counts a host that fell silent in mid-switch, and its rollout as one that stands still', async () => {
    const at = new Date().toISOString();
    await posted({ kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'old', receivedAt: at });
    await command('/v1/channels/stable/pause');
    const measured = () =>
      pool.run(async (sql) => [await readLongestIdle(sql), await countBlockers(sql)] as const);
    const [none, before] = await measured();
    expect(none).toBeNull();
    expect(before).not.toHaveProperty('unreachable-move');
    const heard = (how: string) =>
      pool.run((sql) => sql`UPDATE host SET reachability = ${how} WHERE hostname = 'canary-01'`);
    await heard('unreachable');
    const [idle, held] = await measured();
    expect(idle?.rolloutId).toBe(EDGE);
    expect(idle?.seconds).toBeGreaterThan(0);
    expect(held).toMatchObject({ 'unreachable-move': 1 });
    await heard('reachable');
    await command('/v1/channels/stable/resume');
  });

  it('names what a host waits for a reboot with', async () => {
    const at = new Date().toISOString();
    await posted({ kind: 'ActivationDeferred', seq: 2, component: 'kernel', deferredAt: at });
    expect(await get('/v1/deferrals')).toEqual({
      deferrals: [
        expect.objectContaining({
          hostname: 'canary-01',
          rolloutId: EDGE,
          component: 'kernel',
          deferredAt: at,
        }),
      ],
    });
    expect(await get('/v1/fleet')).toMatchObject({ deferrals: 1 });
  });

  it('names the seq of the last failure of a halted rollout, which a clear may expect', async () => {
    const at = new Date().toISOString();
    const failed = { exitCode: 4, stderrTail: 'no space left', failedAt: at };
    await posted({ kind: 'ActivationFailed', seq: 3, ...failed });
    const seen = await get<{ state: string; seq: number }>(`/v1/rollouts/${EDGE}/lifecycle`);
    expect(seen.state).toBe('Failed');
    const back = { revertedToClosure: 'old', exitCode: 1, completedAt: at };
    await posted({ kind: 'RollbackComplete', seq: 4, ...back });
    const now = await get<{ seq: number }>(`/v1/rollouts/${EDGE}/lifecycle`);
    expect(now.seq).toBeGreaterThan(seen.seq);
    const list = await get<{ rollouts: { rolloutId: string; seq: number }[] }>('/v1/rollouts');
    expect(list.rollouts.find(({ rolloutId }) => rolloutId === EDGE)?.seq).toBe(now.seq);
    const host = await get<Host>('/v1/hosts/canary-01');
    expect(host.seq).toBe(now.seq);
    const cleared = (expectedSeq: number) =>
      server.call('POST', `/v1/rollouts/${EDGE}/clear`, {
        ...{ as: 'operator:ada', headers: { 'idempotency-key': `clear-${String(expectedSeq)}` } },
        body: { reason: 'seen', expectedSeq },
      });
    expect((await cleared(seen.seq)).status).toBe(409);
    expect((await cleared(now.seq)).status).toBe(200);
  });
});
