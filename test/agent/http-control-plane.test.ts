/** What each HTTP answer means to an agent, against a real server. */
import http from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  connect,
  disconnect,
  httpArtifacts,
  httpControlPlane,
  type Connections,
} from '../../src/agent/http-control-plane.ts';

type Reply = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const never = new AbortController().signal;
let reply: Reply = () => undefined;
let seen: http.IncomingMessage | null = null;
const server = http.createServer((request, response) => {
  seen = request;
  request.resume();
  reply(request, response);
});
let connections: Connections;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  connections = connect(`http://127.0.0.1:${address.port}`, { hosts: 2, requests: 2 });
});

afterAll(() => {
  disconnect(connections);
  server.close();
});

function answer(status: number, body?: unknown, headers: Record<string, string> = {}): void {
  reply = (_, response) => {
    response.writeHead(status, headers);
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
}

const host = () => httpControlPlane(connections, 'web-01', { 'x-who': 'agent:web-01' });
const event = {
  ...{ kind: 'ActivationStarted' as const, seq: 2 },
  ...{ startedAt: '2026-11-01T12:00:00.000Z', switchMethod: 'x' },
};
const post = () => host().postEvent('stable@a1', event, never);

test.each([200, 202, 204])('%i: the event is safe', async (status) => {
  answer(status);
  await expect(post()).resolves.toEqual({ kind: 'accepted' });
  expect(seen?.headers).toMatchObject({
    ...{ prefer: 'verdict', 'x-who': 'agent:web-01', 'x-nixfleet-protocol': '1' },
  });
});

test.each([409, 400, 413])('%i: refused for good, with the reason', async (status) => {
  answer(status, { code: 'illegal-transition', detail: 'it is Pending' });
  await expect(post()).resolves.toEqual({
    ...{ kind: 'refused', status, code: 'illegal-transition', detail: 'it is Pending' },
  });
});

test.each([401, 403, 404, 426, 500, 502, 503])('%i: to be tried again', async (status) => {
  answer(status, { code: 'queue-full', detail: 'the queue is full' }, { 'retry-after': '3' });
  await expect(post()).resolves.toEqual({
    ...{ kind: 'trouble', reason: `HTTP ${status}: the queue is full`, retryAfterMs: 3_000 },
  });
});

test('a cut connection and a refused one are trouble, not errors', async () => {
  reply = (_, response) => response.destroy();
  await expect(post()).resolves.toMatchObject({ kind: 'trouble' });
  reply = (_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setImmediate(() => response.destroy());
  };
  await expect(post()).resolves.toMatchObject({ kind: 'trouble' });
  const away = connect('http://127.0.0.1:9', { hosts: 1, requests: 1 });
  const gone = httpControlPlane(away, 'web-01', {}).dispatch(never);
  await expect(gone).resolves.toMatchObject({ kind: 'trouble' });
});

test('a request that is given up ends at once', async () => {
  const stop = new AbortController();
  reply = () => stop.abort();
  await expect(host().dispatch(stop.signal)).resolves.toMatchObject({ kind: 'trouble' });
});

test('a dispatch is read, nothing is nothing, and junk is trouble', async () => {
  const [soak, queued] = ['2026-11-01T12:05:00Z', '2026-11-01T12:00:00Z'];
  const offered = { rollout_id: 'stable@a1', target_closure: 'new' };
  answer(200, { hostname: 'web-01', ...offered, soak_due_at: soak, enqueued_at: queued });
  await expect(host().dispatch(never)).resolves.toEqual({
    kind: 'dispatch',
    dispatch: {
      ...{ rolloutId: 'stable@a1', targetClosure: 'new' },
      soakDueAt: '2026-11-01T12:05:00.000Z',
      enqueuedAt: '2026-11-01T12:00:00.000Z',
    },
  });
  answer(204);
  await expect(host().dispatch(never)).resolves.toEqual({ kind: 'none' });
  answer(200, { ...offered, rollout_id: '../../etc/passwd', soak_due_at: soak });
  await expect(host().dispatch(never)).resolves.toMatchObject({ kind: 'trouble' });
});

test('a heartbeat brings replay-from and snapshots; what cannot be read is left out', async () => {
  const snapshot = {
    ...{ rolloutId: 'stable@a1', hostname: 'web-01', channel: 'stable', state: 'Soaking' },
    ...{ targetClosure: 'new', dispatchedAt: '2026-11-01T12:00:00Z', lastEventSeq: 3 },
  };
  answer(
    200,
    { received_at: '2026-11-01T12:00:00Z', bootstrap_rollouts: [snapshot, { state: 'Flying' }] },
    { 'x-nixfleet-replay-from': '7' },
  );
  const beat = {
    ...{ hostname: 'web-01', current_closure: 'old', at: '2026-11-01T12:00:00.000Z' },
    ...{ agent_version: 'x', uptime_secs: 1, last_event_seq_by_rollout: {} },
  };
  await expect(host().heartbeat(beat, never)).resolves.toEqual({
    kind: 'heard',
    replayFrom: 7,
    bootstrap: [{ ...snapshot, dispatchedAt: '2026-11-01T12:00:00.000Z' }],
  });
});

test('an artifact that has not changed is not sent again', async () => {
  reply = (request, response) => {
    const same = request.headers['if-none-match'] === '"x"';
    response.writeHead(same ? 304 : 200, { etag: '"x"' });
    response.end(same ? undefined : 'bytes');
  };
  const artifacts = httpArtifacts(connections, {});
  const first = await artifacts.artifact('fleet.resolved', null, never);
  expect(first).toEqual({ kind: 'artifact', bytes: Buffer.from('bytes'), etag: '"x"' });
  const again = await artifacts.artifact('fleet.resolved', '"x"', never);
  expect(again).toEqual({ kind: 'unchanged' });
});
