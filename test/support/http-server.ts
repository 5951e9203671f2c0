/** A whole Muster process in this one, over a test database and the committed `good` fleet, spoken to by HTTP. */
import path from 'node:path';
import { loadConfig, type Config } from '../../src/config.ts';
import { startServer, type RunningServer } from '../../src/main.ts';
import { silentLogger } from './installation.ts';

const FIXTURES = path.join(import.meta.dirname, '..', 'fixtures');
export const REF = '0388fb626ca89a127847443989334b8c29e17567';
export const EDGE = `edge@${REF}`;

export interface HttpServer extends RunningServer {
  /** As an agent of `hostname`, or `operator:name`, or nobody. */
  call(method: string, route: string, options?: CallOptions): Promise<Response>;
  readonly lines: readonly string[];
}

export interface CallOptions {
  readonly as?: string | null;
  readonly body?: string | Uint8Array | object;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function startHttpServer(
  databaseUrl: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<HttpServer> {
  const lines: string[] = [];
  const server = await startServer(configOf(databaseUrl, settings), 'test', silentLogger(lines));
  return {
    ...server,
    lines,
    call: (method, route, { as = null, body, headers = {} } = {}) => {
      const text = typeof body === 'object' && !(body instanceof Uint8Array);
      return fetch(`${server.url}${route}`, {
        method,
        ...(body === undefined ? {} : { body: text ? JSON.stringify(body) : bytesOf(body) }),
        headers: {
          'content-type': 'application/json',
          ...(as === null ? {} : { 'x-muster-dev-identity': as }),
          ...headers,
        },
      });
    },
  };
}

function bytesOf(body: string | Uint8Array): string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' ? body : new Uint8Array(body);
}

function configOf(databaseUrl: string, settings: Readonly<Record<string, string>>): Config {
  const loaded = loadConfig([], {
    MUSTER_DATABASE_URL: databaseUrl,
    MUSTER_LISTEN_PORT: '0',
    MUSTER_DEV_IDENTITY: 'true',
    // For those that switch the above off.
    MUSTER_STRICT: 'false',
    MUSTER_SOURCE: path.join(FIXTURES, 'good'),
    MUSTER_TRUST_FILE: path.join(FIXTURES, 'trust.json'),
    // The fixture is fresh for ten years; so must be what agents accept.
    MUSTER_AGENT_FRESHNESS_MINUTES: '5256000',
    MUSTER_DRAIN_DELAY_SECONDS: '0',
    MUSTER_POLL_SECONDS: '0.1',
    ...settings,
  });
  if (loaded.ok) return loaded.config;
  throw new Error(loaded.problems.join('\n'));
}

/** When the release's first rollout can be read: a leader has decided on it. */
export async function untilOpened(server: Pick<HttpServer, 'call'>): Promise<void> {
  await until(
    async () => (await server.call('GET', '/v1/rollouts', { as: 'operator:ada' })).text(),
    (text) => text.includes(EDGE),
  );
}

/** A host's agent says that it is there. */
export async function sendHeartbeat(
  server: Pick<HttpServer, 'call'>,
  hostname: string,
  closure = 'old',
): Promise<void> {
  const body = { hostname, current_closure: closure, at: new Date().toISOString() };
  const as = `agent:${hostname}`;
  const { status } = await server.call('POST', '/v1/agent/heartbeat', { as, body });
  if (status !== 200) throw new Error(`a heartbeat got ${String(status)}`);
}

/** An operator's command, carried out. */
export async function sendCommand(
  server: Pick<HttpServer, 'call'>,
  route: string,
  reason = 'a test',
): Promise<void> {
  const headers = { 'idempotency-key': `${route}-${String(Math.random())}` };
  const asked = { as: 'operator:ada', body: { reason }, headers };
  const { status } = await server.call('POST', route, asked);
  if (status !== 200) throw new Error(`${route} got ${String(status)}`);
}

/** Waits until `check` holds, asking again and again; fails after ten seconds with what it last saw. */
export async function until<T>(ask: () => Promise<T>, check: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const seen = await ask();
    if (check(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
