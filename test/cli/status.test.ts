/** What `muster status` and `muster host explain` say of odd states: a silent mover, no leader, a host at rest that is held. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, startHttpServer, until, type HttpServer } from '../support/http-server.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { fakeServer } from './fake-server.ts';
import { run, type Outcome } from './support.ts';

const FIXTURES = path.join(import.meta.dirname, '..', 'fixtures');
const HOST = 'canary-01';
const AT = new Date().toISOString();

async function begun(
  url: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<HttpServer> {
  const server = await startHttpServer(url, settings);
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
    expect.stringMatching(/^failed to roll back: 1 \(rollback-failed\)/),
    expect.stringMatching(/^held by a manifest that is too old: 1 \(manifest-stale\)/),
  ]);
  await pool.run((sql) => sql`UPDATE host SET reachability = 'reachable' WHERE hostname = ${HOST}`);
  await muster(whole, 'host hold web-01 -r commit');
  expect((await status(whole)).alarms).toContainEqual(
    expect.stringMatching(/^heard, and says nothing of its move: 1 \(stuck-move\)/),
  );
  await muster(whole, 'host release web-01 -r commit');
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
  const stranger = postgres(url, { max: 1, connection: { application_name: 'psql' } });
  await stranger`
    SELECT pg_advisory_lock(1297416193, 'muster.epoch'::regclass::oid::bigint::bit(32)::int)`;
  const taken = await status(api);
  expect(taken.leader).toMatchObject({ leading: false, lockTakenBy: { application: 'psql' } });
  expect(taken.alarms[0]).toMatch(/^no Muster but the session \d+ \("psql"\) holds the leader/);
  await stranger.end();
  await api.stop();
  await pool.end();
}, 30_000);

it('says that nobody works, or who keeps everybody from it, while somebody leads', async () => {
  const { url } = await createTestDatabase();
  const sql = postgres(url, { max: 1, connection: { application_name: 'psql' } });
  const whole = await begun(url);
  expect(await status(whole)).toMatchObject({ alarms: [SILENT], leader: { working: true } });
  await whole.stop();
  const leads = await startHttpServer(url, { MUSTER_ROLES: 'api,leader' });
  await until(
    async () => (await status(leads)).leader,
    (leader) => 'leading' in leader && leader.leading === true,
  );
  await sql`UPDATE muster.leader_progress SET at = at - interval '1 hour'`;
  const nobody = await status(leads);
  expect(nobody).toMatchObject({ code: 1, leader: { leading: true, working: false } });
  expect(nobody.alarms).toEqual([expect.stringMatching(/^nobody works: .* role workers$/), SILENT]);
  expect((await muster(leads, 'status')).stdout).toMatch(/^leader .*, epoch 2, .*; nobody works$/m);
  const doctored = async () => (await run(doctor, '--database-url', url)).stdout;
  expect(await doctored()).toMatch(/^warning: workers: nobody works: /m);
  await sql`
    SELECT pg_advisory_lock(1297416194, 'muster.epoch'::regclass::oid::bigint::bit(32)::int)`;
  const taken = /no Muster but the session \d+ \("psql"\) holds the workers' lock, and nobody can/;
  expect((await status(leads)).alarms[0]).toMatch(taken);
  expect(await doctored()).toMatch(taken);
  await sql.end();
  await leads.stop();
}, 30_000);

it('counts what could not be decided for a day', async () => {
  const { url } = await createTestDatabase();
  const sql = postgres(url, { max: 1 });
  const server = await begun(url);
  await sql`
    INSERT INTO muster.input_queue (kind, payload) VALUES ('NoSuchKind', '{}'), ('AgentEvent', '{}')`;
  const dead = /^2 inputs of the last day could not be decided \(dead_input\); see/;
  await until(
    async () => (await status(server)).alarms,
    ([first = '']) => dead.test(first),
  );
  const scraped = await (await server.call('GET', '/metrics')).text();
  expect(scraped).toMatch(/^muster_leader_inputs_total\{kind="unknown",verdict="dead"\} 1$/m);
  expect(scraped).not.toContain('NoSuchKind');
  await sql`UPDATE muster.dead_input SET died_at = died_at - interval '25 hours'`;
  expect(await status(server)).toMatchObject({ alarms: [SILENT] });
  const queue: unknown = await (
    await server.call('GET', '/v1/queue', { as: 'operator:ada' })
  ).json();
  expect(queue).toMatchObject({ dead: 2, deadLastDay: 0 });
  await server.stop();
  await sql.end();
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

it('says that a commit waits its turn, behind what, wherever somebody asks for it', async () => {
  const { url } = await createTestDatabase();
  const server = await begun(url);
  const pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'test', max: 1, statementMs: 5_000 },
  );
  const next = 'cafe'.padEnd(40, '0');
  await pool.run((sql) => sql`UPDATE channel SET waiting_ref = ${next} WHERE channel = 'edge'`);
  const said = async (line: string) => (await muster(server, line)).stdout;
  const waits = `${next} opens once ${EDGE} is through, or is cancelled (onNewRef: finish-first)`;
  const brief = new RegExp(`^edge .* ${next.slice(0, 12)} waits its turn .*${EDGE}$`, 'm');
  expect(await said('status')).toMatch(brief);
  expect(await said('channel list')).toMatch(brief);
  const shown = await said('channel show edge');
  expect(shown).toMatch(new RegExp(`^rollout +${EDGE} {2}\\w+$`, 'm'));
  expect(shown).toContain(`waits     ${waits}\n`);
  expect(await said('rollout show edge')).toContain(`${waits}\n`);
  expect(await said(`host explain ${HOST}`)).toMatch(
    new RegExp(
      `^release-waits: rollout edge@${next} waits its turn; .*\\n +released when: ${EDGE} is`,
      'm',
    ),
  );
  expect(await said('rollout show stable')).not.toContain('finish-first');
  expect(await said('channel show stable')).not.toContain('waits');
  await pool.end();
  await server.stop();
}, 30_000);

it('alarms about signed files that do not pass, until they do', async () => {
  const { url } = await createTestDatabase();
  const source = makeScratchDir('status-source');
  await cp(path.join(FIXTURES, 'good'), source, { recursive: true });
  const server = await begun(url, { MUSTER_SOURCE: source });
  let isForged = false;
  const alarms = () =>
    until(
      async () => (await status(server)).alarms,
      (all) => all.some((one) => one.includes('of the source')) === isForged,
    );
  const signature = path.join(source, 'fleet.resolved.json.sig');
  const good = await readFile(signature);
  await writeFile(signature, Buffer.alloc(64));
  isForged = true;
  expect(await alarms()).toContainEqual(
    expect.stringMatching(/^fleet\.resolved of the source is refused since \d+s: bad-signature, /),
  );
  expect((await muster(server, 'status --check')).code).toBe(1);
  await writeFile(signature, good);
  isForged = false;
  await alarms();
  await server.stop();
}, 30_000);

/** What `muster status --check` says of a fleet at rest, but for these fields. */
async function checked(fields: object, ...options: string[]): Promise<Outcome> {
  const answers: Record<string, object> = {
    '/v1/fleet': {
      ...{ seq: 1, headSeq: 1, rollouts: {}, hosts: {}, reachability: {}, blockers: {} },
      ...{ quarantines: 0, deferrals: 0, ...fields },
    },
    '/v1/leader': {
      ...{ epoch: 1, holder: 'a', address: 'a', version: '1', since: AT, incarnation: 'a' },
      headSeq: 1,
    },
    '/v1/queue': { rows: 0, oldestSeconds: 0, dead: 0, latestDead: [] },
    '/v1/channels': { channels: [] },
    '/v1/rollouts': { rollouts: [] },
  };
  const server = await fakeServer(({ pathname }) => answers[pathname]);
  const found = await run(
    (rest, io) => runNoun('status', rest, io, { MUSTER_URL: server.url }),
    ...['--check', ...options],
  );
  server.close();
  return found;
}

async function alarmsIn(fields: object) {
  const { code, stdout } = await checked(fields, '--json');
  return { code, alarms: (JSON.parse(stdout) as { alarms: string[] }).alarms };
}

it('alarms about quarantined closures that hold somebody, and names the others', async () => {
  const former = { quarantines: 2, declaredQuarantines: 0 };
  const { code, stdout } = await checked(former);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^set aside 2 closures quarantined, none declared now$/m);
  expect(await alarmsIn({ quarantines: 2, declaredQuarantines: 1 })).toEqual({
    code: 1,
    alarms: ['1 closure is declared and quarantined; see muster quarantine list'],
  });
  // The rollout before still waits for them.
  expect((await alarmsIn({ ...former, blockers: { quarantine: 3 } })).alarms).toEqual([
    'held by a quarantined closure: 3 (quarantine); see muster quarantine list',
  ]);
  // Of an older server.
  expect((await alarmsIn({ quarantines: 1 })).code).toBe(1);
});

it('alarms about what ages: manifests ten minutes before they are stale, a rollout after an hour without a move', async () => {
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  expect(await alarmsIn({})).toEqual({ code: 0, alarms: [] });
  expect(await alarmsIn({ staleAt: ago(-11) })).toEqual({ code: 0, alarms: [] });
  expect(await alarmsIn({ staleAt: ago(-7.5) })).toEqual({
    code: 1,
    alarms: ['the first manifest goes stale in 8 min: CI has to sign again'],
  });
  expect((await alarmsIn({ staleAt: ago(3) })).alarms).toEqual([
    'the first manifest is stale since 3m: CI has to sign again',
  ]);
  const idle = (minutes: number) => ({ idle: { rolloutId: 'edge@b', since: ago(minutes) } });
  expect(await alarmsIn(idle(59))).toEqual({ code: 0, alarms: [] });
  expect(await alarmsIn(idle(125))).toEqual({
    code: 1,
    alarms: ['nothing moved in edge@b for 2h; see muster rollout show edge@b'],
  });
});
