/** Bearer tokens from their making to their end, over HTTP, through the leader, on several replicas. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHash, randomBytes } from 'node:crypto';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { COMMAND_NAMES } from '../../src/wire/command.ts';
import { formatToken } from '../../src/wire/token.ts';
import { createTestDatabase } from '../support/database.ts';
import {
  REF,
  startHttpServer,
  until,
  untilOpened,
  type HttpServer,
} from '../support/http-server.ts';

let pool: Pool;
let server: HttpServer;
let other: HttpServer;
const STABLE = `stable@${REF}`;

interface Made {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly tokenId: string;
  readonly token: string;
  readonly secretHash: string;
}

const sha = (text: string) => createHash('sha256').update(text).digest('hex');
let keys = 0;
const newKey = () => `key-${(keys += 1)}`;

async function post(
  route: string,
  body: object,
  caller: { as?: string; token?: string; key?: string; to?: HttpServer },
): Promise<{ status: number; body: Readonly<Record<string, unknown>> }> {
  const { as = null, token, key = newKey(), to = server } = caller;
  const headers = {
    'idempotency-key': key,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const answer = await to.call('POST', route, {
    as,
    headers,
    body: { reason: 'test', ...body },
  });
  return { status: answer.status, body: (await answer.json()) as Made['body'] };
}

async function make(
  wanted: object,
  caller: { as?: string; token?: string; key?: string } = { as: 'operator:ada' },
  parts = { tokenId: randomBytes(8).toString('hex'), secret: randomBytes(32).toString('hex') },
): Promise<Made> {
  const secretHash = sha(parts.secret);
  const body = { name: `ci-${parts.tokenId}`, role: 'viewer', ...wanted };
  const made = await post('/v1/tokens', { tokenId: parts.tokenId, secretHash, ...body }, caller);
  return { ...made, secretHash, tokenId: parts.tokenId, token: formatToken(parts) };
}

function ask(token: string, route = '/v1/whoami', to = server): Promise<Response> {
  return to.call('GET', route, { headers: { authorization: `Bearer ${token}` } });
}

async function codeOf(answer: Response): Promise<string> {
  const { code } = (await answer.json()) as { code?: string };
  return `${answer.status} ${code ?? ''}`.trim();
}

beforeAll(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  pool = createPool(database, { role: 't', max: 2, statementMs: 5_000 });
  server = await startHttpServer(url);
  other = await startHttpServer(url, { MUSTER_ROLES: 'api', MUSTER_DEV_IDENTITY: 'false' });
  await untilOpened(server);
}, 60_000);
afterAll(async () => {
  await Promise.all([server.stop(), other.stop()]);
  await pool.end();
});

describe('a token', () => {
  it('admits its holder on every replica, as what it was made out for', async () => {
    const made = await make({ name: 'ci-deploy', role: 'operator', lifetimeHours: 2 });
    expect(made).toMatchObject({ status: 200, body: { status: 'applied' } });
    const { token } = made;
    const me = { cn: 'ci-deploy', role: 'operator', via: 'token' };
    expect(await (await ask(token)).json()).toMatchObject(me);
    await until(
      async () => (await ask(token, '/v1/whoami', other)).status,
      (status) => status === 200,
    );
    expect((await post('/v1/channels/edge/pause', {}, { token, to: other })).status).toBe(200);
    const [row] = await pool.run(
      (sql) => sql<{ actor: string }[]>`
        SELECT actor FROM event_log WHERE kind = 'operator_command' ORDER BY seq DESC LIMIT 1`,
    );
    expect(row?.actor).toBe('token:ci-deploy');
    await post('/v1/channels/edge/resume', {}, { token });
    expect(await post('/v1/hosts/web-01/write-off', {}, { token })).toMatchObject({
      status: 403,
      body: { code: 'needs-admin' },
    });
  });

  it('leaves its secret, and what is made of it, out of the log and the process log', async () => {
    const { token, secretHash } = await make({ role: 'admin' });
    const secret = token.split('_')[2] ?? '';
    const [found] = await pool.run(
      (sql) => sql<{ n: number }[]>`
        SELECT count(*)::int AS n FROM event_log
        WHERE payload::text LIKE ${`%${secret}%`} OR payload::text LIKE ${`%${secretHash}%`}`,
    );
    expect(found?.n).toBe(0);
    expect((await ask(token)).status).toBe(200);
    expect([...server.lines, ...other.lines].filter((line) => line.includes(secret))).toEqual([]);
    const [stored] = await pool.run(
      (sql) => sql<{ text: string }[]>`
        SELECT string_agg(encode(hash, 'hex'), ' ') AS text FROM operator_secret`,
    );
    expect(stored?.text).toContain(secretHash);
    expect(stored?.text).not.toContain(secret);
  });

  it('is made once however often it is asked for, and not with another secret', async () => {
    const parts = { tokenId: 'aaaaaaaaaaaaaaaa', secret: 'b'.repeat(64) };
    const caller = { as: 'operator:ada', key: 'once' };
    const first = await make({}, caller, parts);
    expect(await make({}, caller, parts)).toEqual(first);
    expect(await make({}, caller, { ...parts, secret: 'c'.repeat(64) })).toMatchObject({
      status: 422,
    });
    // The id is taken: the first secret stays the only one.
    const stolen = { ...parts, secret: 'd'.repeat(64) };
    expect(await make({ name: 'x' }, { as: 'operator:ada' }, stolen)).toMatchObject({
      status: 409,
    });
    expect((await ask(formatToken(stolen))).status).toBe(401);
    expect((await ask(formatToken(parts))).status).toBe(200);
  });

  it('ends on every replica when it is revoked, on open streams too', async () => {
    const { token, tokenId } = await make({ role: 'viewer' });
    await until(
      async () => (await ask(token, '/v1/whoami', other)).status,
      (status) => status === 200,
    );
    const stream = await ask(token, '/v1/events/stream', other);
    expect(stream.status).toBe(200);
    const over = stream.text();
    const revoked = await post(`/v1/tokens/${tokenId}/revoke`, {}, { as: 'operator:ada' });
    expect(revoked.status).toBe(200);
    const since = Date.now();
    await over;
    expect(Date.now() - since).toBeLessThan(5_000);
    for (const replica of [server, other]) {
      await until(
        async () => codeOf(await ask(token, '/v1/whoami', replica)),
        (code) => code === '401 unauthenticated',
      );
    }
    const left = await pool.run(
      (sql) => sql`SELECT FROM operator_secret WHERE token_id = ${tokenId}`,
    );
    expect(left.count).toBe(0);
  });

  it('ends by itself', async () => {
    const { token, tokenId } = await make({});
    expect((await ask(token)).status).toBe(200);
    await pool.run(
      (sql) => sql`UPDATE operator_token SET expires_at = now() WHERE token_id = ${tokenId}`,
    );
    const text = await until(
      async () => (await ask(token)).text(),
      (seen) => seen.includes('unauthenticated'),
    );
    expect(text).toContain('expired');
  });

  it('is listed with its last use, without what proves it', async () => {
    const { token, tokenId } = await make({ name: 'listed', channels: ['edge'] });
    await ask(token);
    const list = await until(
      async () => (await server.call('GET', '/v1/tokens', { as: 'operator:ada' })).text(),
      (text) => /"listed".*?lastUsedAt/.test(text),
    );
    expect(list).toContain(tokenId);
    expect(list).not.toMatch(/hash/i);
    expect(await codeOf(await ask(token, '/v1/tokens'))).toBe('403 needs-admin');
  });
});

describe('nobody', () => {
  it.each([
    ['nonsense', 'Bearer nonsense'],
    ['of another shape', 'Bearer muster_x_y'],
    ['made up', `Bearer ${formatToken({ tokenId: '0'.repeat(16), secret: '0'.repeat(64) })}`],
    ['with spaces in between', 'Bearer a b'],
    ['a password', 'Basic YTpi'],
    ['nothing', 'Bearer '],
  ])('is admitted with %s', async (_what, authorization) => {
    const headers = { authorization };
    const answer = await other.call('GET', '/v1/whoami', { headers });
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    expect(await codeOf(answer)).toBe('401 unauthenticated');
  });

  it('falls back from a bad token to a weaker proof', async () => {
    const headers = { authorization: 'Bearer nonsense' };
    const answer = await server.call('GET', '/v1/whoami', { as: 'operator:ada', headers });
    expect(answer.status).toBe(401);
  });

  it('is admitted by a token in an address', async () => {
    const { token } = await make({});
    for (const name of ['token', 'access_token', 'authorization']) {
      expect((await other.call('GET', `/v1/whoami?${name}=${token}`)).status).toBe(401);
    }
  });

  it('comes in by the id of another token', async () => {
    const mine = await make({ role: 'viewer' });
    const admin = await make({ role: 'admin' });
    const secret = mine.token.split('_')[2] ?? '';
    expect((await ask(formatToken({ tokenId: admin.tokenId, secret }))).status).toBe(401);
  });
});

describe('a role', () => {
  it('cannot make itself a higher one', async () => {
    const { token } = await make({ role: 'operator' });
    const tried = await make({ role: 'admin' }, { token });
    expect(tried).toMatchObject({ status: 403, body: { code: 'needs-admin' } });
    const parts = {
      tokenId: tried.tokenId,
      secretHash: tried.secretHash,
      name: 'x',
      role: 'admin',
    };
    expect(await post('/v1/tokens?dryRun=true', parts, { token })).toMatchObject({ status: 403 });
  });

  it('of a viewer suffices for no command, dry run or not', async () => {
    const { token } = await make({ role: 'viewer' });
    for (const query of ['', '?dryRun=true']) {
      expect(await post(`/v1/fleet/pause${query}`, {}, { token })).toMatchObject({
        status: 403,
        body: { code: 'needs-operator', detail: expect.stringContaining('operator') as string },
      });
    }
  });
});

describe('a scope', () => {
  it('leaves out of whoami what reaches the whole fleet, whichever the role', async () => {
    const allowed = async (channels: readonly string[] | null): Promise<unknown> => {
      const { token } = await make({ role: 'admin', channels });
      return ((await (await ask(token)).json()) as { commands: unknown }).commands;
    };
    const fleetWide = ['PauseFleet', 'ResumeFleet', 'CreateToken', 'RevokeToken'];
    expect(await allowed(null)).toEqual(COMMAND_NAMES);
    expect(await allowed(['edge'])).toEqual(
      COMMAND_NAMES.filter((name) => !fleetWide.includes(name)),
    );
  });

  it('holds commands to its channels, whatever they are about', async () => {
    const { token } = await make({ role: 'admin', channels: ['edge'] });
    const codes: unknown[] = [];
    for (const route of [
      '/v1/channels/edge/pause',
      '/v1/channels/edge/resume',
      '/v1/hosts/edge-01/hold',
      '/v1/hosts/edge-01/release',
    ]) {
      codes.push((await post(route, {}, { token })).status);
    }
    expect(codes).toEqual([200, 200, 200, 200]);
    for (const route of [
      '/v1/channels/stable/pause',
      '/v1/fleet/pause',
      `/v1/rollouts/${STABLE}/cancel`,
      '/v1/hosts/web-01/hold',
      '/v1/hosts/no-such/hold',
      '/v1/quarantines/stable/abc/clear',
      '/v1/hosts/web-01/hold?dryRun=true',
    ]) {
      const answer = await post(route, {}, { token });
      expect([route, answer.body['code']]).toEqual([route, 'outside-scope']);
    }
    // And says beforehand what a host's commands reach.
    for (const [host, channels] of [
      ['edge-01', ['edge']],
      ['web-01', ['stable']],
    ] as const) {
      const answer = await ask(token, `/v1/hosts/${host}`);
      expect(await answer.json()).toMatchObject({ commandChannels: channels });
    }
    // An admin of some channels makes nobody an admin of all.
    expect((await make({ role: 'admin' }, { token })).body['code']).toBe('outside-scope');
    expect((await ask(token, '/v1/hosts')).status).toBe(200);
  });
});
