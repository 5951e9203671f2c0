/** A closed record is `closed` wherever states are counted and listed: nobody waits for it, whatever it was before. */
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, until } from '../support/http-server.ts';

const ADA = { as: 'operator:ada' };

interface List {
  readonly hosts: readonly {
    readonly hostname?: string;
    readonly host?: string;
    readonly closed?: string;
  }[];
}
interface Lifecycle {
  readonly waves: readonly { readonly states: Readonly<Record<string, number>> }[];
}
interface Rollouts {
  readonly rollouts: readonly { readonly hostStates: Readonly<Record<string, string>> }[];
}

it('means one thing in lifecycles, lists, filters and states by host', async () => {
  const { url } = await createTestDatabase();
  const server = await startHttpServer(url);
  const get = async <T>(route: string): Promise<T> => {
    const answer = await server.call('GET', route, ADA);
    expect([route, answer.status]).toEqual([route, 200]);
    return (await answer.json()) as T;
  };
  await until(
    async () => (await server.call('GET', `/v1/rollouts/${EDGE}/lifecycle`, ADA)).status,
    (code) => code === 200,
  );
  const headers = { 'idempotency-key': 'k-1' };
  const call = { ...ADA, headers, body: { reason: 'dead' } };
  expect((await server.call('POST', '/v1/hosts/edge-02/write-off', call)).status).toBe(200);
  const { waves } = await get<Lifecycle>(`/v1/rollouts/${EDGE}/lifecycle`);
  const { rollouts } = await get<Rollouts>('/v1/rollouts?channel=edge');
  const byHost = Object.values(rollouts[0]?.hostStates ?? {});
  const listed = async (route: string) =>
    (await get<List>(route)).hosts.map(({ hostname, host, closed }) => [hostname ?? host, closed]);
  for (const [state, n] of [
    ['Pending', 2],
    ['Failed', 0],
    ['closed', 1],
  ] as const) {
    const counted = waves.reduce((sum, wave) => sum + (wave.states[state] ?? 0), 0);
    const inRollout = await listed(`/v1/rollouts/${EDGE}/hosts?all=true&state=${state}`);
    const inFleet = await listed(`/v1/hosts?channel=edge&state=${state}`);
    const of = byHost.filter((one) => one === state);
    expect([state, counted, of.length, inRollout.length, inFleet.length]).toEqual([
      ...[state, n, n, n, n],
    ]);
    if (state === 'closed') expect(inFleet).toEqual([['edge-02', 'written-off']]);
  }
  await server.stop();
});
