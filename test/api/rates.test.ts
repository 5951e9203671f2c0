/** Who asks too often is told so, and nobody else pays for it. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from './support/fakes.ts';

const LIMIT = 5;
let url = '';
beforeAll(async () => {
  ({ url } = await createTestDatabase());
});
const started: Replica[] = [];
afterAll(() => Promise.all(started.map((replica) => replica.stop())));

async function replicaWith(limits: Parameters<typeof startReplica>[1]): Promise<Replica> {
  const replica = await startReplica(url, limits);
  started.push(replica);
  return replica;
}

function ask({ api }: Replica, as: string, path: string) {
  return api.app.inject({ url: path, headers: { 'x-muster-dev-identity': as } });
}

const AGENTS = '/v1/agent/dispatch?wait=0';

it('an agent in a loop is told 503 and when to come back; another agent and the probes are served', async () => {
  const replica = await replicaWith({ identityRequestsPerSecond: LIMIT });
  const answers = await Promise.all(
    Array.from({ length: 3 * LIMIT }, () => ask(replica, 'agent:web-01', AGENTS)),
  );
  const refused = answers.filter(({ statusCode }) => statusCode === 503);
  expect(refused.length).toBeGreaterThanOrEqual(LIMIT);
  for (const answer of refused) {
    expect(answer.headers['retry-after']).toMatch(/^[12]$/);
    expect(answer.json()).toMatchObject({ code: 'not-accepted', status: 503 });
  }
  expect((await ask(replica, 'agent:web-02', AGENTS)).statusCode).toBe(204);
  expect((await ask(replica, '', '/healthz')).statusCode).toBe(200);
});

it('an operator in a loop is told 429', async () => {
  const replica = await replicaWith({ identityRequestsPerSecond: LIMIT });
  const answers = await Promise.all(
    Array.from({ length: 3 * LIMIT }, () => ask(replica, 'operator:ada', '/v1/channels')),
  );
  const refused = answers.filter(({ statusCode }) => statusCode !== 200);
  expect(refused.map(({ statusCode }) => statusCode)).toContain(429);
  expect(refused[0]?.json()).toMatchObject({ code: 'too-many-requests' });
});

it('all together are bounded too, and it is counted as shedding', async () => {
  const replica = await replicaWith({ requestsPerSecond: LIMIT });
  const answers = await Promise.all(
    Array.from({ length: 3 * LIMIT }, (_, i) => ask(replica, `agent:host-${i}`, AGENTS)),
  );
  expect(answers.map(({ statusCode }) => statusCode)).toContain(503);
  const { body } = await ask(replica, '', '/metrics');
  expect(body).toMatch(/muster_api_shed_total\{why="rate"\} [1-9]/);
});

it('whoever proves nothing is bounded apart: what agents may ask is not used up, and probes are answered', async () => {
  const replica = await replicaWith({ requestsPerSecond: 4 * LIMIT });
  for (const path of [AGENTS, '/openapi.json', '/nowhere', '/v1/channels']) {
    const many = Array.from({ length: 12 * LIMIT }, () => ask(replica, '', path));
    const answers = await Promise.all(many);
    const refused = answers.filter(({ statusCode }) => statusCode === 503);
    expect([path, refused.length >= 4 * LIMIT]).toEqual([path, true]);
    expect(refused[0]?.headers['retry-after']).toBeDefined();
    expect((await ask(replica, 'agent:web-01', AGENTS)).statusCode).toBe(204);
  }
  const probes = Array.from({ length: 30 }, () => ask(replica, '', '/healthz'));
  const answers = await Promise.all(probes);
  expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
});

it('files for anyone are few a second, and agents are served meanwhile', async () => {
  const replica = await replicaWith({});
  let served = 0;
  for (let i = 0; i < 120; i += 1)
    if ((await ask(replica, '', '/openapi.json')).statusCode === 200) served += 1;
  expect(served).toBeGreaterThanOrEqual(20);
  expect(served).toBeLessThan(120);
  expect((await ask(replica, 'agent:web-01', AGENTS)).statusCode).toBe(204);
});

it('the allowance comes back with the next second', async () => {
  const replica = await replicaWith({ identityRequestsPerSecond: 1 });
  const status = async () => (await ask(replica, 'agent:web-03', AGENTS)).statusCode;
  expect(await status()).toBe(204);
  await expect.poll(status, { timeout: 10_000, interval: 300 }).toBe(204);
});

it('whoever asked too often before the clock was set back is served again with the next second', async () => {
  const replica = await replicaWith({ identityRequestsPerSecond: 1 });
  const status = async () => (await ask(replica, 'agent:web-04', AGENTS)).statusCode;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  try {
    expect([await status(), await status()]).toContain(503);
  } finally {
    vi.useRealTimers();
  }
  await expect.poll(status, { timeout: 5_000, interval: 300 }).toBe(204);
});
