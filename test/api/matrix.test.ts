/**
 * Who is admitted where: every route that the application has, times every kind of caller. What is expected is the
 * table in `support/admission.ts`; what certificates make of callers is in `matrix-certificates.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { refusal, servedTo } from './support/admission.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { pathTo, routesOf, type RouteOf } from './support/routes.ts';

const CALLERS = {
  nobody: null,
  agent: 'agent:web-01',
  viewer: 'operator:ada:viewer',
  operator: 'operator:ada:operator',
  admin: 'operator:ada:admin',
} as const;
type Caller = keyof typeof CALLERS;

let replica: Replica;
let routes: RouteOf[];

beforeAll(async () => {
  const { url } = await createTestDatabase();
  replica = await startReplica(url);
  await replica.api.app.ready();
  routes = routesOf(replica.api.app);
}, 60_000);
afterAll(() => replica.stop());

async function ask({ method, route }: RouteOf, caller: Caller): Promise<string> {
  const as = CALLERS[caller];
  const answer = await replica.api.app.inject({
    method: method as 'GET',
    url: pathTo(route),
    headers: as === null ? {} : { 'x-muster-dev-identity': as },
    ...(method === 'POST' ? { payload: {} } : {}),
  });
  const code = /"code":"([\w-]+)"/.exec(answer.payload)?.[1] ?? '';
  return `${String(answer.statusCode)} ${code}`.trim();
}

describe('admission', () => {
  it('knows every route', () => {
    expect(routes.length).toBeGreaterThan(60);
    expect(routes).toContainEqual({
      method: 'POST',
      route: '/v1/quarantines/:channel/:closure/clear',
    });
    expect(routes).toContainEqual({ method: 'HEAD', route: '/v1/fleet.resolved/sig' });
  });

  it.each(Object.keys(CALLERS) as Caller[])('is decided for %s on every route', async (caller) => {
    for (const route of routes) {
      const served = servedTo(route);
      const wanted = refusal(caller, served);
      if (served === 'anyone') continue;
      const got = await ask(route, caller);
      const name = `${route.method} ${route.route}`;
      if (wanted === null)
        expect([name, got.slice(0, 3)]).not.toEqual([name, expect.stringMatching(/40[13]/)]);
      else
        expect([name, got]).toEqual([name, route.method === 'HEAD' ? wanted.slice(0, 3) : wanted]);
    }
  });

  it('is not asked of anyone where everyone is served', async () => {
    for (const route of routes.filter((one) => servedTo(one) === 'anyone')) {
      const answer = await replica.api.app.inject({
        method: route.method as 'GET',
        url: pathTo(route.route),
      });
      expect([route.route, [200, 404, 501].includes(answer.statusCode)]).toEqual([
        route.route,
        true,
      ]);
    }
  });
});

describe('whoami', () => {
  it('says who one is, and which commands one may give', async () => {
    const whoami = async (as: string) =>
      (
        await replica.api.app.inject({
          url: '/v1/whoami',
          headers: { 'x-muster-dev-identity': as },
        })
      ).json<{ commands: string[] }>();
    const viewer = await whoami('operator:ada:viewer');
    expect(viewer).toMatchObject({ cn: 'ada', role: 'viewer', via: 'development', commands: [] });
    const operator = await whoami('operator:ada:operator');
    expect(operator.commands).toContain('HoldHost');
    expect(operator.commands).not.toContain('WriteOffHost');
    expect((await whoami('operator:ada')).commands).toContain('WriteOffHost');
  });
});
