/** Dry runs over HTTP, over a real leader and the `good` fleet: what a command would do, as it is then written. */
import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import {
  sendCommand,
  sendHeartbeat,
  startHttpServer,
  untilOpened,
  type HttpServer,
} from '../support/http-server.ts';

const OPERATOR = { as: 'operator:ada' };
let url: string;
let server: HttpServer;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  server = await startHttpServer(url);
  await untilOpened(server);
  await heard('canary-01'); // and dispatched by that
});
afterAll(() => server.stop());

async function get<T = Readonly<Record<string, unknown>>>(route: string): Promise<T> {
  const response = await server.call('GET', route, OPERATOR);
  expect([route, response.status]).toEqual([route, 200]);
  return (await response.json()) as T;
}

const heard = (hostname: string, closure?: string) => sendHeartbeat(server, hostname, closure);
const command = (route: string, reason?: string) => sendCommand(server, route, reason);

const dry = (route: string) =>
  server.call('POST', `${route}?dryRun=true`, { ...OPERATOR, body: { reason: 'what if' } });

it('says what would happen, and does nothing', async () => {
  const before = await get<{ headSeq: number }>('/v1/fleet');
  const answer = (await (await dry('/v1/channels/edge/pause')).json()) as {
    status: string;
    total: number;
    rows: { kind: string; payload: { action?: string } }[];
  };
  expect(answer.status).toBe('preview');
  expect(answer.rows[0]).toMatchObject({ kind: 'operator_command', channel: 'edge' });
  // canary-01 was never offered its dispatch: it would be taken back.
  expect(answer.rows.map(({ payload }) => payload.action)).toContain('WithdrawDispatch');
  expect(answer.total).toBe(answer.rows.length);
  const after = await get<{ headSeq: number }>('/v1/fleet');
  expect(after.headSeq).toBe(before.headSeq);
  expect(await get('/v1/channels/edge')).not.toHaveProperty('pause');
});

it('shows rows as they are then written', async () => {
  interface Row {
    readonly kind: string;
    readonly host?: string;
    readonly payload: Readonly<Record<string, unknown>>;
  }
  const { rows } = (await (await dry('/v1/hosts/edge-01/hold')).json()) as { rows: Row[] };
  const from = (await get<{ headSeq: number }>('/v1/fleet')).headSeq;
  await command('/v1/hosts/edge-01/hold', 'what if');
  const { events } = await get<{ events: (Row & { seq: number })[] }>('/v1/events?last=10');
  const facts = ({ kind, host, payload }: Row) => {
    const { v: _, set: __, changes: ___, ...told } = payload;
    return { kind, host, told };
  };
  const written = events.filter(({ seq }) => seq > from);
  expect(rows.map(({ kind }) => kind)).toContain('gate_decision');
  expect(rows.map(facts)).toEqual(written.map(facts));
  await command('/v1/hosts/edge-01/release');
});

it('is told while somebody locks presence, as the command is carried out then', async () => {
  const dba = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  await dba.begin(async (sql) => {
    await sql`LOCK TABLE presence`;
    const answer = await dry('/v1/hosts/canary-01/hold');
    expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'preview' }]);
  });
  await dba.end();
});

it('is refused as the command would be', async () => {
  const refused = await dry('/v1/channels/edge/resume');
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
    409,
    'illegal-command',
  ]);
});
