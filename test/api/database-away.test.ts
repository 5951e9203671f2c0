/** A database that is away, and comes back: 503 meanwhile, and recovery without anyone's help. */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { putDispatch, putHost, ROLLOUT } from './support/rows.ts';

interface Cable {
  readonly url: string;
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** A TCP proxy to the database that can be cut: connections break and new ones are turned away. */
async function cable(target: string): Promise<Cable> {
  const { hostname, port } = new URL(target);
  const open = new Set<net.Socket>();
  let whole = true;
  const server = net.createServer((client) => {
    if (!whole) {
      client.destroy();
      return;
    }
    const database = net.connect(Number(port), hostname);
    for (const socket of [client, database]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        database.destroy();
      });
    }
    client.pipe(database).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  const cut = (): void => {
    whole = false;
    for (const socket of open) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    mend() {
      whole = true;
    },
    close: () => {
      cut();
      return new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

let line: Cable;
let replica: Replica;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  line = await cable(url);
  replica = await startReplica(line.url);
  await putHost(replica.pool, 'web-01');
});
afterAll(async () => {
  await replica.stop();
  await line.close();
});

const call = (method: 'GET' | 'POST', url: string, as: string, payload?: object) =>
  replica.api.app.inject({
    method,
    url,
    headers: { 'x-muster-dev-identity': as },
    ...(payload === undefined ? {} : { payload }),
  });
const beat = () =>
  call('POST', '/v1/agent/heartbeat', 'agent:web-01', {
    hostname: 'web-01',
    at: '2026-05-16T01:27:01Z',
    current_closure: 'old',
  });

/** Asks until the answer has the status; the test's own timeout is the limit. */
async function untilStatus(ask: typeof beat, status: number): Promise<void> {
  while ((await ask()).statusCode !== status) await new Promise((r) => setTimeout(r, 20));
}

/** A statement lost with its connection is given up after 7 s (pool.ts); a few of them may follow. */
const OUTAGE_MS = 60_000;

describe('while the database is away', { timeout: OUTAGE_MS }, () => {
  it('every route that needs it is 503 with Retry-After, and works again by itself', async () => {
    expect((await beat()).statusCode).toBe(200);
    line.cut();
    const answers = await Promise.all([
      beat(),
      call('GET', '/v1/agent/dispatch?wait=0', 'agent:web-01'),
      call('GET', '/v1/fleet.resolved', 'agent:web-01'),
      call('GET', '/v1/rollouts', 'operator:ada'),
      call('GET', '/v1/hosts', 'operator:ada'),
    ]);
    for (const answer of answers) {
      expect(answer.statusCode).toBe(503);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.json()).toMatchObject({ code: 'database-away' });
      expect(answer.body).not.toMatch(/SELECT|ECONN|127\.0\.0\.1/);
    }
    expect((await call('GET', '/healthz', 'operator:ada')).statusCode).toBe(200);
    line.mend();
    await untilStatus(beat, 200);
    await untilStatus(() => call('GET', '/v1/rollouts', 'operator:ada'), 200);
  });

  it('a parked poll stays parked, and is answered afterwards', async () => {
    const parked = call('GET', '/v1/agent/dispatch?wait=30', 'agent:web-02');
    await untilParked();
    line.cut();
    replica.wake();
    line.mend();
    await untilStatus(beat, 200);
    await putDispatch(replica.pool, 'web-02', ROLLOUT);
    replica.wake();
    const answer = await parked;
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ hostname: 'web-02', rollout_id: ROLLOUT });
  });

  it('and a statement of ours that is wrong is not: that is 500', async () => {
    await replica.pool.run((sql) => sql`ALTER TABLE rollout RENAME TO elsewhere`);
    const failed = await call('GET', '/v1/rollouts', 'operator:ada');
    await replica.pool.run((sql) => sql`ALTER TABLE elsewhere RENAME TO rollout`);
    expect(failed.statusCode).toBe(500);
    expect(failed.body).not.toMatch(/rollout_id|relation/);
  });
});

async function untilParked(): Promise<void> {
  for (;;) {
    const { body } = await call('GET', '/metrics', 'operator:ada');
    // Parked comes before the first question: cut during that, the poll itself is 503.
    if (/^muster_api_parked_polls 1$/m.test(body) && replica.busy() === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
