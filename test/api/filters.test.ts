/** A filter that a list does not know must not come out as the whole list. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, untilOpened, type HttpServer } from '../support/http-server.ts';

const OPERATOR = { as: 'operator:ada' };
let server: HttpServer;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  server = await startHttpServer(url);
  await untilOpened(server);
});
afterAll(async () => {
  await server.stop();
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
