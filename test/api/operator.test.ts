/** What operators and probes see, and what nobody may see. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/wire/command.ts';
import { PROBLEMS, type ProblemCode } from '../../src/wire/problem.ts';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, untilOpened, type HttpServer } from '../support/http-server.ts';

const OPERATOR = { as: 'operator:ada' };
let server: HttpServer;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  server = await startHttpServer(url);
  await untilOpened(server);
});
afterAll(() => server.stop());

async function json(route: string): Promise<unknown> {
  const response = await server.call('GET', route, OPERATOR);
  expect(response.status).toBe(200);
  return response.json();
}

describe('operator endpoints', () => {
  it('list rollouts with the state of every host', async () => {
    const { rollouts } = (await json('/v1/rollouts')) as { rollouts: object[] };
    expect(rollouts.find((r) => 'rolloutId' in r && r.rolloutId === EDGE)).toMatchObject({
      channel: 'edge',
      currentWave: 0,
      hostStates: { 'canary-01': 'Pending', 'edge-01': 'Pending', 'edge-02': 'Pending' },
    });
  });

  it("list a rollout's events in order, page by page", async () => {
    const whole = (await json(`/v1/rollouts/${EDGE}/events`)) as { events: { seq: number }[] };
    const seqs = whole.events.map((event) => event.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(seqs.length).toBeGreaterThan(1);
    const first = (await json(`/v1/rollouts/${EDGE}/events?limit=1`)) as {
      events: { seq: number }[];
      nextCursor: string;
    };
    const cursor = encodeURIComponent(first.nextCursor);
    const rest = (await json(`/v1/rollouts/${EDGE}/events?cursor=${cursor}`)) as typeof whole;
    expect([...first.events, ...rest.events].map((event) => event.seq)).toEqual(seqs);
  });

  it('list all hosts and those that were dispatched', async () => {
    const { hosts } = (await json('/v1/hosts')) as { hosts: { hostname: string }[] };
    expect(hosts.map((host) => host.hostname)).toContain('web-04');
    expect(hosts).toHaveLength(11);
    expect(await json(`/v1/rollouts/${EDGE}/hosts`)).toEqual({ rollout_id: EDGE, hosts: [] });
  });

  it('say what is wrong with a question', async () => {
    const ask = async (route: string) => (await server.call('GET', route, OPERATOR)).status;
    expect(await ask('/v1/rollouts/edge@beef/hosts')).toBe(404);
    expect(await ask('/v1/rollouts/EDGE/hosts')).toBe(400);
    expect(await ask('/v1/hosts?limit=none')).toBe(400);
    expect(await ask(`/v1/hosts?limit=${'9'.repeat(30)}`)).toBe(400);
    expect(await ask('/v1/rollouts?cursor=-1')).toBe(400);
    expect(await ask(`/v1/rollouts/${EDGE}/events?cursor=elsewhere:1`)).toBe(409);
    expect(await ask('/v1/hosts?cursor=%00')).toBe(400);
    expect(await ask('/v1/nowhere')).toBe(404);
  });
});

describe('every route', () => {
  interface Document {
    readonly paths: Readonly<
      Record<
        string,
        Readonly<Record<string, { responses: object; tags?: string[]; requestBody?: object }>>
      >
    >;
    readonly components: {
      readonly schemas: Readonly<
        Record<string, { properties: { code: { enum: readonly ProblemCode[] } } }>
      >;
    };
  }
  interface Answer {
    readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
  }
  const document = async () =>
    (await (await server.call('GET', '/openapi.json')).json()) as Document;

  it('documents errors as problems, and what 503 carries', async () => {
    const { paths } = await document();
    const answers = paths['/v1/agent/events']?.['post']?.responses;
    expect(answers).toMatchObject({
      409: { content: { 'application/problem+json': {} } },
      503: { headers: { 'Retry-After': {} } },
    });
    expect(paths['/v1/fleet.resolved']?.['get']?.responses).toMatchObject({ 200: {}, 400: {} });
  });

  it('shows an operator an example of every answer, and the errors that may come', async () => {
    const { paths } = await document();
    const shown = Object.entries(paths).flatMap(([route, methods]) =>
      Object.values(methods)
        .filter(({ tags }) => tags?.some((tag) => tag === 'operator' || tag === 'commands'))
        .map(({ responses }) => [route, responses] as const),
    );
    expect(shown.length).toBeGreaterThan(20);
    for (const [route, responses] of shown) {
      const answers = responses as Readonly<Record<string, { content?: object }>>;
      const text = JSON.stringify(answers['200']?.content ?? {});
      const streams = route === '/v1/events/stream';
      expect([route, streams || /"examples?":/.test(text)]).toEqual([route, true]);
      expect(Object.keys(answers)).toEqual(expect.arrayContaining(['400', '401', '403', '503']));
    }
  });

  it('shows an example of every body', async () => {
    const { paths } = await document();
    const bodies = Object.entries(paths).flatMap(([route, methods]) =>
      Object.values(methods).flatMap((of) =>
        of.requestBody === undefined ? [] : [[route, JSON.stringify(of.requestBody)] as const],
      ),
    );
    expect(bodies.length).toBeGreaterThan(10);
    const without = bodies.filter(([, text]) => !text.includes('"example'));
    expect(without.map(([route]) => route)).toEqual([]);
  });

  it('names the codes of each of its errors', async () => {
    const { paths, components } = await document();
    const codesAt = (route: string, method: string, status: number) => {
      const answers = paths[route]?.[method]?.responses as Readonly<Record<string, Answer>>;
      const { $ref } = answers[String(status)]?.content?.['application/problem+json']?.schema ?? {};
      return components.schemas[$ref?.split('/').at(-1) ?? '']?.properties.code.enum;
    };
    expect(codesAt('/v1/hosts/{name}/hold', 'post', 409)).toEqual([
      'stale-expectation',
      'illegal-command',
    ]);
    expect(codesAt('/v1/hosts', 'get', 400)).toEqual(['malformed', 'bad-cursor']);
    expect(codesAt('/v1/agent/events', 'post', 403)).toContain('wrong-host');
    expect(codesAt('/metrics', 'get', 503)).toContain('not-accepted');
    for (const [route, methods] of Object.entries(paths)) {
      for (const [method, { responses }] of Object.entries(methods)) {
        for (const [status, { content }] of Object.entries(responses as Record<string, Answer>)) {
          if (content?.['application/problem+json'] === undefined) continue;
          const codes = codesAt(route, method, Number(status)) ?? [];
          if (status === 'default') continue;
          expect([route, method, status, codes.length > 0]).toEqual([route, method, status, true]);
          for (const code of codes) expect(PROBLEMS[code][0]).toBe(Number(status));
        }
      }
    }
  });

  it('is in openapi.json, and refuses nobody and the wrong kind of caller', async () => {
    const { paths } = await document();
    const commands = Object.values(COMMANDS).map((of) => of.route.replace(/:(\w+)/g, '{$1}'));
    const reads = Object.keys(paths).filter((route) => !commands.includes(route));
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(commands));
    expect(reads.sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/agent/closure/{hash}',
      '/v1/agent/dispatch',
      '/v1/agent/events',
      '/v1/agent/heartbeat',
      '/v1/agent/renew',
      '/v1/channels',
      '/v1/channels/{name}',
      '/v1/deferrals',
      '/v1/enroll',
      '/v1/events',
      '/v1/events/stream',
      '/v1/fleet',
      '/v1/fleet.resolved',
      '/v1/fleet.resolved/sig',
      '/v1/hosts',
      '/v1/hosts/{name}',
      '/v1/leader',
      '/v1/quarantines',
      '/v1/queue',
      '/v1/rollouts',
      '/v1/rollouts/{id}',
      '/v1/rollouts/{id}/blockers',
      '/v1/rollouts/{id}/events',
      '/v1/rollouts/{id}/hosts',
      '/v1/rollouts/{id}/lifecycle',
      '/v1/rollouts/{id}/plan',
      '/v1/rollouts/{id}/sig',
      '/v1/whoami',
    ]);
    for (const [route, methods] of Object.entries(paths)) {
      // Whoever has a token may come; enrol.test.ts has what becomes of them.
      if (route === '/v1/enroll') continue;
      const real = route.replace('{id}', EDGE).replace(/\{\w+\}/g, 'edge');
      for (const method of Object.keys(methods)) {
        const open = !route.startsWith('/v1/');
        const anonymous = await server.call(method.toUpperCase(), real);
        expect([route, anonymous.status]).toEqual([route, open ? 200 : 401]);
        if (open) continue;
        const wrong = methods[method]?.responses ?? {};
        expect([route, Object.keys(wrong)]).toEqual([
          route,
          expect.arrayContaining(['401', '403']),
        ]);
        const agents = await server.call(method.toUpperCase(), real, {
          as: 'agent:web-01',
        });
        const operators = await server.call(method.toUpperCase(), real, OPERATOR);
        expect([route, [agents.status, operators.status].filter((s) => s === 403)]).toEqual([
          route,
          [403],
        ]);
      }
    }
  });
});

describe('what is no request', () => {
  it('is refused as a problem too, without the words of a framework', async () => {
    for (const route of ['/v1/rollouts/%ff/hosts', `/v1/rollouts/${'a'.repeat(400)}/hosts`]) {
      const response = await server.call('GET', route, OPERATOR);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
      expect(response.status).toBe(400);
      expect(await response.text()).not.toMatch(/FST_|Bad Request/);
    }
    const headers = { 'x-pad': 'x'.repeat(20_000) };
    const padded = await server.call('GET', '/healthz', { headers });
    expect([padded.status, padded.headers.get('content-type')]).toEqual([
      431,
      'application/problem+json',
    ]);
  });
});

it('refuses a filter that a list does not know, and names what it knows; agents of later versions may ask for more', async () => {
  const detailOf = async (route: string): Promise<unknown> => {
    const response = await server.call('GET', route, OPERATOR);
    const { code, detail } = (await response.json()) as { code?: string; detail?: string };
    return [response.status, code, detail];
  };
  const refused = (name: string, takes: string): unknown => [
    400,
    'malformed',
    `there is no query parameter ${name} here; this takes ${takes}`,
  ];
  const list = 'limit, cursor, channel';
  const told = [
    ['/v1/hosts?chanel=edge', refused('chanel', `${list}, prefix, state, reachability`)],
    ['/v1/rollouts?chanel=edge', refused('chanel', `${list}, ref, state, hosts`)],
    ['/v1/deferrals?host=edge-01', refused('host', list)],
    ['/v1/channels/edge?__proto__=1', refused('__proto__', 'none')],
    [
      '/v1/events?hosts=edge-01',
      refused('hosts', 'kind, rollout, host, after, last, before, limit, whole'),
    ],
    ['/v1/events/stream?channel=edge', refused('channel', 'kind, rollout, host, after, whole')],
  ] as const;
  for (const [route, as] of told) expect([route, await detailOf(route)]).toEqual([route, as]);
  const manifest = `/v1/rollouts/${EDGE}`;
  const agent = { as: 'agent:edge-01' };
  const plain = await server.call('GET', manifest, agent);
  const later = await server.call('GET', `${manifest}?later=1`, agent);
  expect([plain.status, later.status]).toEqual([200, 200]);
});

describe('probes', () => {
  it('tell life from readiness, and expose every metric by name', async () => {
    expect(await (await server.call('GET', '/healthz')).json()).toEqual({ status: 'ok' });
    expect(await (await server.call('GET', '/readyz')).json()).toEqual({
      ready: true,
      reasons: [],
    });
    const text = await (await server.call('GET', '/metrics')).text();
    expect(text).toContain('muster_leader_leading 1');
    expect(text).toContain('muster_http_requests_total{');
  });
});

describe('development identity', () => {
  it('is not believed unless it is configured', async () => {
    const { url } = await createTestDatabase();
    const strict = await startHttpServer(url, { MUSTER_DEV_IDENTITY: 'false' });
    expect((await strict.call('GET', '/v1/hosts', OPERATOR)).status).toBe(401);
    await strict.stop();
  });

  it('cannot be configured for a listener that others reach', async () => {
    const { url } = await createTestDatabase();
    const open = startHttpServer(url, { MUSTER_LISTEN_HOST: '0.0.0.0' });
    await expect(open).rejects.toThrow(/loopback/);
  });
});
