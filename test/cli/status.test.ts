/** What `muster status` and `muster host explain` say of odd states: a silent mover, no leader, a host at rest that is held. */
import { expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, until, type HttpServer } from '../support/http-server.ts';
import { run, type Outcome } from './support.ts';

const HOST = 'canary-01';
const AT = new Date().toISOString();

async function begun(url: string): Promise<HttpServer> {
  const server = await startHttpServer(url);
  await until(
    async () =>
      (await server.call('GET', `/v1/rollouts/${EDGE}/lifecycle`, { as: 'operator:ada' })).status,
    (code) => code === 200,
  );
  return server;
}

function muster({ url }: HttpServer, line: string): Promise<Outcome> {
  const [noun = '', ...args] = line.split(' ');
  return run((rest, io) => runNoun(noun, rest, io, { MUSTER_URL: url, USER: 'ada' }), ...args);
}

async function status(server: HttpServer) {
  const { code, stdout } = await muster(server, 'status --check --json');
  const { alarms, leader } = JSON.parse(stdout) as { alarms: string[]; leader: object };
  return { code, alarms, leader };
}

/** Most hosts here have no agent. */
const SILENT = expect.stringMatching(
  /^\d rollouts? do(es)? not get on as a whole: fleet-silent; see/,
) as string;

/** `HOST` is heard and acknowledges its dispatch. */
async function moves(server: HttpServer): Promise<void> {
  const post = (route: string, body: object) =>
    server.call('POST', route, { as: `agent:${HOST}`, body: { hostname: HOST, ...body } });
  await post('/v1/agent/heartbeat', { current_closure: 'old', at: AT });
  const event = { kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'old', receivedAt: AT };
  expect((await post('/v1/agent/events', { rolloutId: EDGE, event })).status).toBe(204);
}

it('alarms about hosts that fell silent in mid-switch, and says when nobody leads', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  const pool = createPool(database, { role: 'test', max: 1, statementMs: 5_000 });
  const whole = await begun(url);
  const text = async (at: HttpServer) => (await muster(at, 'status')).stdout;
  await moves(whole);
  expect(await status(whole)).toMatchObject({
    ...{ code: 1, alarms: [SILENT], leader: { leading: true } },
  });
  expect(await text(whole)).toMatch(/^leader {4}\S+, epoch 1, for \d+s, last commit \d+s ago\n/);

  await pool.run(
    (sql) => sql`UPDATE host SET reachability = 'unreachable' WHERE hostname = ${HOST}`,
  );
  await muster(whole, 'host hold web-01 -r commit');
  expect(await status(whole)).toMatchObject({
    code: 1,
    alarms: [SILENT, expect.stringMatching(/^unreachable in mid-switch: 1 \(unreachable-move\)/)],
  });

  const note = (gates: string) =>
    pool.run(
      (sql) => sql`INSERT INTO host_blocker (rollout_id, hostname, seq, gates, since)
        VALUES (${EDGE}, ${HOST}, 1, ${gates}::text::json, ${AT})
        ON CONFLICT (rollout_id, hostname) DO UPDATE SET gates = excluded.gates`,
    );
  await note('["dispatch-refused","manifest-stale","rollback-failed","stuck-move"]');
  await muster(whole, 'host release web-01 -r commit');
  expect((await status(whole)).alarms.slice(2)).toEqual([
    expect.stringMatching(/^heard, and does not take its dispatch: 1 \(dispatch-refused\)/),
    expect.stringMatching(/^heard, and says nothing of its move: 1 \(stuck-move\)/),
    expect.stringMatching(/^failed to roll back: 1 \(rollback-failed\)/),
    expect.stringMatching(/^held by a manifest that is too old: 1 \(manifest-stale\)/),
  ]);
  await note('[]');
  await pool.run(
    (sql) => sql`INSERT INTO host (hostname, seq, reachability, reachability_at)
    SELECT hostname, 1, 'unreachable', ${AT} FROM declared_host
    ON CONFLICT (hostname) DO UPDATE SET reachability = 'unreachable'`,
  );
  await muster(whole, 'host hold web-01 -r commit');
  expect((await status(whole)).alarms.slice(2)).toEqual([
    expect.stringMatching(/^\d+ of \d+ hosts are not heard any more$/),
  ]);

  await whole.stop();
  const api = await startHttpServer(url, { MUSTER_ROLES: 'api' });
  expect(await text(api)).toMatch(
    /^leader {4}nobody leads; the last was \S+, epoch 1, last commit \d+s ago\n/,
  );
  expect((await status(api)).alarms).toHaveLength(3);
  await pool.run((sql) => sql`UPDATE leader_progress SET at = at - interval '21 seconds'`);
  const { alarms, leader } = await status(api);
  expect(leader).toMatchObject({ leading: false });
  expect(alarms[0]).toMatch(/^no commit for 2\d s: nobody leads$/);
  await api.stop();
  await pool.end();
}, 30_000);

it('says wherever it is asked that a rollout does not get on as a whole, since when and why', async () => {
  const { url } = await createTestDatabase();
  const server = await begun(url);
  expect(await status(server)).toMatchObject({ code: 1, alarms: [SILENT] });
  const said = /^fleet-silent {2}since \d+s: \d+ of \d+ hosts of wave 0 /m;
  expect((await muster(server, 'status')).stdout).toMatch(/^held by .*fleet-silent \d rollouts?$/m);
  expect((await muster(server, `rollout show ${EDGE}`)).stdout).toMatch(said);
  expect((await muster(server, `rollout plan ${EDGE}`)).stdout).toContain(
    'does not get on as a whole: fleet-silent',
  );
  const { code, stdout } = await muster(server, `host explain ${HOST}`);
  expect(stdout).toMatch(said);
  expect(code).toBe(1);
  await server.stop();
}, 30_000);

it('tells what holds whatever comes next, of a host that nothing holds now', async () => {
  const { url } = await createTestDatabase();
  const server = await begun(url);
  await muster(server, 'host hold web-01 -r disk');
  await muster(server, 'host write-off web-01 -r dead');
  const { code, stdout } = await muster(server, 'host explain web-01');
  expect(stdout).toMatch(
    /^nothing holds web-01 now: it is written-off in stable@\S+\nwhatever comes next is held:\nhost-hold {2}since \d+s: ada held it/,
  );
  expect(code).toBe(1);
  expect((await muster(server, 'host list --state closed')).stdout).toMatch(
    /^written-off .* web-01$/m,
  );
  await muster(server, 'host release web-01 -r seen');
  expect(await muster(server, 'host explain web-01')).toMatchObject({ code: 0 });
  await server.stop();
}, 30_000);
