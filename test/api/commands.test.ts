/** Operator commands over HTTP: carried out once, answered alike, refused with a code to decide by. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { sweep } from '../../src/db/housekeeping.ts';
import { COMMAND_NAMES, COMMANDS } from '../../src/wire/command.ts';
import { createTestDatabase } from '../support/database.ts';
import { startHttpServer, until, untilOpened, type HttpServer } from '../support/http-server.ts';

let url: string;
let pool: Pool;
let server: HttpServer;
let other: HttpServer;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly replayed: boolean;
}

const BODY = { reason: 'disk alarms' };

async function post(
  to: HttpServer,
  route: string,
  key: string | null,
  body: object = BODY,
  as = 'operator:ada',
): Promise<Answer> {
  const headers: Record<string, string> = key === null ? {} : { 'idempotency-key': key };
  const response = await to.call('POST', route, { as, body, headers });
  return {
    status: response.status,
    body: (await response.json()) as Answer['body'],
    replayed: response.headers.get('idempotency-replayed') === 'true',
  };
}

interface CommandRow {
  readonly seq: number;
  readonly actor: string;
  readonly payload: {
    readonly command: object;
    readonly reason: string;
    readonly verdict?: string;
  };
}

function logged(of: Pool = pool): Promise<CommandRow[]> {
  return of.run(
    (sql) => sql<CommandRow[]>`
      SELECT seq, actor, payload FROM event_log WHERE kind = 'operator_command' ORDER BY seq`,
  );
}

async function isReady(of: HttpServer): Promise<void> {
  await untilOpened(of);
}

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 't', max: 2, statementMs: 5_000 },
  );
  server = await startHttpServer(url);
  other = await startHttpServer(url, { MUSTER_ROLES: 'api' });
  await isReady(server);
});
afterAll(async () => {
  await Promise.all([server.stop(), other.stop()]);
  await pool.end();
});

describe('a command', () => {
  it('is carried out once, and answered alike by every replica', async () => {
    const before = (await logged()).length;
    const first = await post(server, '/v1/channels/edge/pause', 'once');
    expect(first).toMatchObject({ status: 200, body: { status: 'applied' }, replayed: false });
    const again = await post(server, '/v1/channels/edge/pause', 'once');
    const elsewhere = await post(other, '/v1/channels/edge/pause', 'once');
    expect([again, elsewhere]).toEqual([
      { ...first, replayed: true },
      { ...first, replayed: true },
    ]);
    const rows = (await logged()).slice(before);
    expect(rows).toMatchObject([
      { actor: 'ada', payload: { command: { command: 'PauseChannel', channel: 'edge' }, ...BODY } },
    ]);
    expect(first.body['seqs']).toContain(rows[0]?.seq);
    await post(server, '/v1/channels/edge/resume', 'once-resumed');
  });

  it('is carried out once when it is sent many times at once', async () => {
    const before = (await logged()).length;
    const senders = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? server : other));
    const answers = await Promise.all(senders.map((to) => post(to, '/v1/fleet/pause', 'burst')));
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    expect((await logged()).length).toBe(before + 1);
    await post(server, '/v1/fleet/resume', 'burst-resumed');
  });

  it('under the key of another is refused, whether the body or the caller differs', async () => {
    await post(server, '/v1/fleet/pause', 'mine');
    const reused = { status: 422, body: { code: 'idempotency-key-reused' } };
    const reason = { reason: 'another' };
    expect(await post(server, '/v1/fleet/pause', 'mine', reason)).toMatchObject(reused);
    expect(await post(other, '/v1/fleet/resume', 'mine')).toMatchObject(reused);
    expect(await post(other, '/v1/fleet/pause', 'mine', BODY, 'operator:bob')).toMatchObject(
      reused,
    );
    await post(server, '/v1/fleet/resume', 'mine-resumed');
  });

  it('that does not apply is refused, logged, and refused alike when repeated', async () => {
    const refused = await post(server, '/v1/channels/edge/resume', 'no');
    expect(refused).toMatchObject({ status: 409, body: { code: 'illegal-command' } });
    const rows = await logged();
    expect(rows.at(-1)).toMatchObject({ payload: { verdict: 'refused' } });
    expect(refused.body['seqs']).toEqual([rows.at(-1)?.seq]);
    const again = await post(other, '/v1/channels/edge/resume', 'no');
    expect(again).toEqual({ ...refused, replayed: true });
    expect(await logged()).toHaveLength(rows.length);
  });

  it('is refused when its subject changed since it was seen', async () => {
    const seqOf = async (): Promise<number> => {
      const [row] = await pool.run(
        (sql) => sql<{ seq: number }[]>`SELECT seq FROM channel WHERE channel = 'edge'`,
      );
      return row?.seq ?? 0;
    };
    const seen = await seqOf();
    const asSeen = { ...BODY, expectedSeq: seen };
    expect(await post(server, '/v1/channels/edge/pause', 'e1', asSeen)).toMatchObject({
      status: 200,
    });
    expect(await post(server, '/v1/channels/edge/resume', 'e2', asSeen)).toMatchObject({
      status: 409,
      body: { code: 'stale-expectation' },
    });
    const now = { ...BODY, expectedSeq: await seqOf() };
    expect(await post(server, '/v1/channels/edge/resume', 'e3', now)).toMatchObject({
      status: 200,
    });
  });

  it.each(COMMAND_NAMES.map((name) => [name] as const))(
    '%s of nothing is refused',
    async (name) => {
      const route = COMMANDS[name].route
        .replace(':name', 'no-such')
        .replace('rollouts/:id', 'rollouts/none@beef')
        .replace(':id', '0'.repeat(16))
        .replace(':channel', 'none')
        .replace(':closure', 'abc-1.2');
      // These two are about nothing that could be missing.
      if (name === 'PauseFleet' || name === 'CreateToken') return;
      const { status, body } = await post(server, route, `nothing-${name}`);
      const code = name === 'ResumeFleet' ? [409, 'illegal-command'] : [404, 'not-found'];
      expect([status, body['code']]).toEqual(code);
    },
  );

  it('that cannot be read changes nothing', async () => {
    const before = await logged();
    const codeOf = async (route: string, key: string | null, body: object): Promise<unknown[]> => {
      const answer = await post(server, route, key, body);
      return [answer.status, answer.body['code']];
    };
    expect(await codeOf('/v1/fleet/pause', null, BODY)).toEqual([400, 'idempotency-key-missing']);
    expect(await codeOf('/v1/fleet/pause', 'x'.repeat(201), BODY)).toEqual([
      400,
      'idempotency-key-missing',
    ]);
    const malformed = [400, 'malformed'];
    expect(await codeOf('/v1/fleet/pause', 'k', {})).toEqual(malformed);
    expect(await codeOf('/v1/fleet/pause', 'k', { reason: '  ' })).toEqual(malformed);
    expect(await codeOf('/v1/fleet/pause', 'k', { ...BODY, expectedSeq: -1 })).toEqual(malformed);
    expect(await codeOf('/v1/fleet/pause', 'k', { reason: 5 })).toEqual(malformed);
    expect(await codeOf('/v1/fleet/pause', 'k', { ...BODY, expectedSeq: '0' })).toEqual(malformed);
    expect((await post(server, '/v1/fleet/pause', 'k', {})).body['detail']).toBe(
      'reason in the body is missing; give one text of up to 1000 characters that matches \\S (Why, for whoever reads the log); see /openapi.json',
    );
    expect(await codeOf('/v1/fleet/pause?dryrun=true', 'k', BODY)).toEqual(malformed);
    expect(await codeOf('/v1/hosts/a%2Fb/hold', 'k', BODY)).toEqual(malformed);
    const huge = { ...BODY, pad: 'x'.repeat(20_000) };
    expect(await codeOf('/v1/fleet/pause', 'k', huge)).toEqual([413, 'too-large']);
    expect(await logged()).toEqual(before);
  });

  it('keeps a reason that no database could store', async () => {
    await post(server, '/v1/fleet/pause', 'nul', { reason: 'a\u0000b\ud800' });
    expect((await logged()).at(-1)?.payload.reason).toBe('a\ufffdb\ufffd');
    await post(server, '/v1/fleet/resume', 'nul-resumed');
  });
});

describe('an answer', () => {
  it('outlives the process that took the command, and the sweep of verdicts', async () => {
    const { url: apart } = await createTestDatabase();
    const options = { role: 't', max: 1, statementMs: 5_000 };
    const rows = createPool({ url: apart, schema: 'muster', name: 'test' }, options);
    // Somebody must have led once, so that there is a fleet to pause.
    const leading = await startHttpServer(apart);
    await isReady(leading);
    await leading.stop();
    const leaderless = await startHttpServer(apart, {
      MUSTER_ROLES: 'api',
      MUSTER_VERDICT_WAIT_MS: '100',
    });
    const queued = await post(leaderless, '/v1/fleet/pause', 'crash');
    expect(queued).toMatchObject({ status: 202, body: { status: 'queued', seqs: [] } });
    await leaderless.stop();
    const later = await startHttpServer(apart);
    const answer = await until(
      () => post(later, '/v1/fleet/pause', 'crash'),
      ({ status }) => status !== 202,
    );
    expect(answer).toMatchObject({ status: 200, body: { status: 'applied' }, replayed: true });
    expect(await logged(rows)).toHaveLength(1);
    await sweep(rows, { verdicts: 0, keys: 7 * 24 * 3_600_000 });
    expect(await post(later, '/v1/fleet/pause', 'crash')).toEqual(answer);
    await sweep(rows, { verdicts: 0, keys: 0 });
    const [left] = await rows.run(
      (sql) => sql<{ n: number }[]>`
        SELECT (SELECT count(*) FROM verdict)::int + (SELECT count(*) FROM operator_key)::int AS n`,
    );
    expect(left?.n).toBe(0);
    await later.stop();
    await rows.end();
  });
});
