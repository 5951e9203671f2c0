/** The operator commands of `muster`, over HTTP against a whole server: what they print, and how they exit. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/cli/operate/client.ts';
import { NOUNS } from '../../src/cli/operate/nouns.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { FleetSchema } from '../../src/wire/overview.ts';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, REF, startHttpServer, until, type HttpServer } from '../support/http-server.ts';
import { startNode } from '../support/processes.ts';
import { fakeServer } from './fake-server.ts';
import { run, temporaryDirectory, type Outcome } from './support.ts';

let server: HttpServer;
const STABLE = `stable@${REF}`;
const MUSTER = path.resolve('dist/cli/muster.js');

beforeAll(async () => {
  const { url } = await createTestDatabase();
  server = await startHttpServer(url);
  await until(
    async () => await (await server.call('GET', '/v1/rollouts', { as: 'operator:ada' })).text(),
    (text) => text.includes(EDGE),
  );
  for (const hostname of ['web-01', 'web-04', 'canary-01']) {
    const body = { hostname, current_closure: 'old', at: new Date().toISOString() };
    await server.call('POST', '/v1/agent/heartbeat', { as: `agent:${hostname}`, body });
  }
});
afterAll(() => server.stop());

/** `muster LINE`, as a function, against the server. */
function muster(line: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const [noun = '', ...args] = words(line);
  const all = { MUSTER_URL: server.url, USER: 'ada', ...env };
  return run((rest, io) => runNoun(noun, rest, io, all), ...args);
}

/** As a shell would, where examples need one: quotes, and nothing after a pipe. */
function words(line: string): string[] {
  const command = line.split(/ [|>] /)[0] ?? '';
  const found = command.match(/'[^']*'|\S+/g) ?? [];
  return found.map((word) => word.replaceAll("'", ''));
}

describe('a command', () => {
  it('says which log row it became, and is refused with exit code 1', async () => {
    const paused = await muster("channel pause edge --reason 'disk alarms'");
    expect(paused).toMatchObject({ code: 0, stderr: '' });
    expect(paused.stdout).toMatch(/^done {2}PauseChannel edge {2}\(log row \d+/);
    const again = await muster('channel pause edge -r again');
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toBe('muster: channel edge is already paused\n');
    expect((await muster('channel pause edge -r again --json')).json).toEqual({
      error: 'illegal-command',
      detail: 'channel edge is already paused',
    });
    expect((await muster('status --check')).code).toBe(1);
    expect((await muster('status')).stdout).toContain('paused by ada: disk alarms');
    expect(await muster('channel resume edge -r over')).toMatchObject({ code: 0 });
  });

  it('under the same key is answered alike', async () => {
    const first = await muster('host hold web-01 -r look --key k-1 --json');
    const again = await muster('host hold web-01 -r look --key k-1 --json');
    expect(JSON.parse(first.stdout)).toEqual(JSON.parse(again.stdout));
    expect(first.code).toBe(0);
    expect((await muster('host hold web-01 -r other --key k-1')).stderr).toMatch(/was used/);
    await muster('host release web-01 -r seen');
  });

  it('says what is missing', async () => {
    const wrong: Readonly<Record<string, RegExp>> = {
      'channel pause edge': /give a reason/,
      'channel pause': /write muster channel pause CHANNEL/,
      'channel stop edge': /no verb stop; it has list, show, pause, resume/,
      'rollout list --colour': /Unknown option '--colour'/,
      'rollout list --limit 0': /--limit is a whole number/,
      'fleet pause -r x --expected-seq soon': /--expected-seq is a whole number/,
      'status --url nowhere': /--url is "nowhere", not an address/,
      'status --profile prod': /no config file, and so no profile prod/,
    };
    for (const [line, message] of Object.entries(wrong)) {
      const { code, stderr } = await muster(line);
      expect([line, code]).toEqual([line, 2]);
      expect(stderr).toMatch(message);
    }
    expect((await muster('rollout')).code).toBe(2);
    expect((await muster('rollout --help')).code).toBe(0);
  });

  it('says of a token that no header can carry what is wrong with it', async () => {
    const given = `muster_\u200b${'0'.repeat(16)}`;
    const wrong = 'has a character that no token has (U+200B, at place 8 of 24): copy it again';
    expect(await muster('status', { MUSTER_TOKEN: given })).toMatchObject({
      ...{ code: 2, stdout: '', stderr: `muster: the token of MUSTER_TOKEN ${wrong}\n` },
    });
    expect((await muster(`status --token ${given}`)).stderr).toBe(
      `muster: the token of --token ${wrong}\n`,
    );
    expect((await muster(`status --token ${'x'.repeat(20_000)}`)).stderr).toBe(
      'muster: the token of --token has 20000 characters, which is no token: copy the token alone\n',
    );
  });

  it('takes the beginning of a ref, where it is of one rollout only', async () => {
    const [whole, short] = [`rollout show ${EDGE}`, `rollout show ${EDGE.slice(0, 9)}`];
    const first = (stdout: string): string => stdout.split('  ')[0] ?? '';
    expect(first((await muster(short)).stdout)).toBe(first((await muster(whole)).stdout));
    expect(await muster('rollout show edge@ffff')).toMatchObject({
      ...{ code: 1, stderr: 'muster: there is no rollout edge@ffff\n' },
    });
    // A script whose variable is empty means no rollout, and least of all the only one.
    expect(await muster('rollout cancel edge@ -r gone')).toMatchObject({
      ...{ code: 2, stderr: 'muster: edge@ lacks its ref: give the beginning of it\n' },
    });
    expect((await muster('rollout show edge@HEAD')).stderr).toContain('a rollout id is');
  });

  it('tells apart who may not, and what is not there', async () => {
    const away = await muster('status --url http://127.0.0.1:9');
    expect(away.code).toBe(4);
    expect(away.stderr).toMatch(/cannot reach .* from --url\): is it running/);
    expect((await muster('status --token x')).code).toBe(3);
    expect((await muster('status --token x')).stderr).toMatch(/Give --token, MUSTER_TOKEN/);
    expect((await muster('host show nobody')).code).toBe(1);
    expect((await muster('rollout show nowhere')).code).toBe(1);
  });

  it('asks for no token where a certificate is what does not hold', async () => {
    const fake = await fakeServer((_, response) => {
      const detail = 'the certificate CN=ada or its authority is expired';
      const problem = { type: 'about:blank', title: 'x', status: 401, code: 'unauthenticated' };
      response.writeHead(401, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ ...problem, detail, proof: 'expired' }));
      return null;
    });
    const { code, stderr } = await muster(`whoami --url ${fake.url}`);
    expect([code, stderr]).toEqual([
      3,
      "muster: the certificate CN=ada or its authority is expired. It is the profile's certFile, which counts before any token\n",
    ]);
    fake.close();
  });

  it.each([
    ['host history nosuch', 'there is no host nosuch'],
    ['events tail --host nosuch', 'there is no host nosuch'],
    ['events tail -f --host nosuch', 'there is no host nosuch'],
    ['events tail --rollout nosuch', 'there is no channel nosuch'],
    ['events tail --rollout nosuch@a1', 'there is no rollout nosuch@a1'],
    ['host list --channel nope', 'there is no channel nope'],
    ['rollout list --channel nope', 'there is no channel nope'],
    ['quarantine list --channel nope', 'there is no channel nope'],
  ])('is not answered about what is not there: %s', async (line, problem) => {
    await muster('fleet pause -r seen-by-all');
    await muster('fleet resume -r seen-by-all');
    expect(await muster(line)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `muster: ${problem}\n`,
    });
  });

  it('says that nothing is like that', async () => {
    const none = await muster('host list --prefix zz');
    expect(none).toMatchObject({ code: 0, stdout: 'no host is like that\n' });
    expect((await muster('host list --prefix zz --json')).json).toBeNull();
    expect(JSON.parse((await muster('host list --prefix zz --json')).stdout)).toEqual({
      hosts: [],
    });
  });

  it('walks the log by the cursors that it names, and misses nothing', async () => {
    const rows = async (line: string): Promise<unknown[]> =>
      JSON.parse((await muster(line)).stdout) as unknown[];
    const all = await rows('host history web-01 --all --json');
    expect(all.length).toBeGreaterThan(3);
    const walked: unknown[] = [];
    let cursor = '';
    do {
      const page: Outcome = await muster(`host history web-01 --limit 2 --json${cursor}`);
      walked.unshift(...(JSON.parse(page.stdout) as unknown[]));
      const said = /^\{"nextCursor":"(.+)"\}\n$/.exec(page.stderr)?.[1];
      cursor = said === undefined ? '' : ` --cursor ${said}`;
    } while (cursor !== '');
    expect(walked).toEqual(all);
    const hosts = await muster('host list --limit 2 --json');
    const { nextCursor } = JSON.parse(hosts.stdout) as { nextCursor: string };
    expect((await muster(`host list --all --cursor ${nextCursor}`)).stdout).not.toContain(
      'canary-01',
    );
  });
});

describe('a reader', () => {
  it('is told why a host does not move, and what would release it', async () => {
    const { code, stdout } = await muster('host explain web-01');
    expect(code).toBe(1);
    expect(stdout).toMatch(/wave-promotion:1 {2}since \d+[sm]: it is in wave 1; wave 0 has 0 of 1/);
    expect(stdout).toContain(
      '    released when: wave 0 is done\n    web-04  held by channel-edges:edge',
    );
    const json = JSON.parse((await muster('host explain web-01 --json')).stdout) as object[];
    expect(json).toEqual(
      expect.arrayContaining([expect.objectContaining({ gate: 'wave-promotion' })]),
    );
  });

  it('is told that a dispatch awaits the host, and since when', async () => {
    const { code, stdout } = await muster('host explain canary-01');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^dispatch-unacknowledged {2}since \d+[sm]: dispatched at 20\S+Z, not fetched by its agent yet\n/,
    );
    expect(stdout).toContain(
      'released when: its agent fetches and acknowledges it; `hold` and then `withdraw` take',
    );
  });

  it('sees a rollout wave by wave, by its id or its channel', async () => {
    const byChannel = await muster('rollout show stable --hosts');
    expect(byChannel.stdout).toContain(STABLE);
    expect(byChannel.stdout).toMatch(/▶ wave 0 {2}·{24} {8}0\/1 {2}soak 5m {2}Pending 1/);
    expect(byChannel.stdout).toMatch(/Pending {2}blocked {2}db-01/);
    expect((await muster(`rollout show ${STABLE} --hosts`)).stdout).toContain('▶ wave 0');
    const { stdout } = await muster('rollout show stable --hosts --json');
    const { hosts } = JSON.parse(stdout) as { hosts: unknown[] };
    expect(hosts).toContainEqual(expect.objectContaining({ host: 'db-01', blocked: true }));
  });

  it('is not sent what a terminal would obey', async () => {
    const body = {
      hostname: 'web-02',
      current_closure: 'x\u001b[2Jy',
      at: new Date().toISOString(),
    };
    await server.call('POST', '/v1/agent/heartbeat', { as: 'agent:web-02', body });
    expect((await muster('host show web-02')).stdout).toContain('x\ufffd[2Jy');
    expect((await muster('host show web-02 --json')).stdout).toContain('x\\u001b[2Jy');
    await muster('fleet pause -r \u001b[31mred');
    expect((await muster('status')).stdout).not.toContain('\u001b');
    await muster('fleet resume -r x');
  });

  it('sees what led to what', async () => {
    const { stdout } = await muster('rollout trace edge --limit 5');
    expect(stdout).toMatch(/^ +\d+ {2}20\d\d-\d\d-\d\d [\d:]+ +\w+ {2}edge@/);
  });
});

describe('profiles', () => {
  const at = temporaryDirectory();

  it('name the address and the token; flags and variables win', async () => {
    const home = { XDG_CONFIG_HOME: at('config'), MUSTER_URL: '' };
    await mkdir(at('config/muster'), { recursive: true });
    const profiles = { here: { url: server.url }, there: { url: server.url, tokenFile: 'token' } };
    await writeFile(at('config/muster/config.json'), JSON.stringify({ default: 'here', profiles }));
    expect((await muster('channel list', home)).code).toBe(0);
    expect((await muster('channel list --profile there', home)).stderr).toMatch(
      /tokenFile .* is not/,
    );
    await writeFile(at('config/muster/token'), 'secret\n');
    expect((await muster('channel list --profile there', home)).code).toBe(3);
    expect((await muster('channel list', { ...home, MUSTER_PROFILE: 'there' })).code).toBe(3);
    expect((await muster('channel list --profile none', home)).stderr).toMatch(
      /it has here, there/,
    );
    const elsewhere = { ...home, MUSTER_URL: 'http://127.0.0.1:9' };
    expect((await muster('channel list', elsewhere)).stderr).toMatch(/from MUSTER_URL/);
  });
});

describe('a process', () => {
  it('is not taken for a rollout that is through when its watch is interrupted', async () => {
    const child = startNode([MUSTER, 'rollout', 'watch', 'stable', '--json'], {
      env: { MUSTER_URL: server.url, USER: 'ada' },
    });
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
  }, 20_000);

  it('watches a rollout until it ends, and says how', async () => {
    const args = [MUSTER, 'rollout', 'watch', 'edge', '--json'];
    const child = startNode(args, { env: { MUSTER_URL: server.url, USER: 'ada' } });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await until(
      () => Promise.resolve(said),
      (text) => text.includes('"state":"Opening"'),
    );
    await muster('rollout cancel edge -r enough');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(1);
    expect(said.trimEnd().split('\n').at(-1)).toContain('"state":"Cancelled"');
  }, 20_000);

  it('follows the log from where its page ended', async () => {
    const args = [
      MUSTER,
      'events',
      'tail',
      '-f',
      '-n',
      '1',
      '--kind',
      'operator_command',
      '--json',
    ];
    const child = startNode(args, { env: { MUSTER_URL: server.url, USER: 'ada' } });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await until(
      () => Promise.resolve(said),
      (text) => text.includes('operator_command'),
    );
    await muster('fleet pause -r first');
    await muster('fleet resume -r second');
    await until(
      () => Promise.resolve(said),
      (text) => text.includes('second'),
    );
    const rows = said
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number });
    expect(rows.map(({ seq }) => seq)).toEqual([...new Set(rows.map(({ seq }) => seq))]);
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
  }, 20_000);

  it('uses no colour where nobody looks, and lists its commands', async () => {
    const child = startNode([MUSTER, 'help'], { env: {} });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await once(child, 'exit');
    for (const { noun } of NOUNS) expect(said).toContain(`  ${noun} `);
    expect((await muster('status')).stdout).not.toContain('\u001b');
  }, 20_000);
});

// Last: examples cancel and write off.
describe('every example of the help', () => {
  const examples = NOUNS.flatMap(({ verbs }) => verbs.flatMap((verb) => verb.examples))
    // These go on until they are stopped; they have tests of their own below.
    .filter((line) => !/watch|tail -f/.test(line))
    .map((line) => [line.replace('0388fb62', REF)] as const);

  it.each(examples)('%s', async (line) => {
    const { code, stdout, stderr } = await muster(line.replace(/^muster /, ''));
    // A command may be refused as things stand; it may not be misunderstood.
    expect([line, stderr, [0, 1].includes(code)]).toEqual([line, stderr, true]);
    expect(stdout + stderr).not.toBe('');
  });
});

const NO_PROOF = {
  ...{ token: null, tokenFrom: 'nowhere', tokenFile: null },
  tlsFiles: { ca: null, cert: null, key: null },
};

describe('an answer that never ends', () => {
  it('is given up in words that say so', async () => {
    const stuck = createServer((_, response) => void response.write('{'));
    await once(stuck.listen(0, '127.0.0.1'), 'listening');
    const { port } = stuck.address() as AddressInfo;
    const at = {
      url: `http://127.0.0.1:${String(port)}`,
      from: 'a test',
      user: 'ada',
      ...NO_PROOF,
    };
    const { signal } = new AbortController();
    const limits = { forPeople: false, signal, timeoutMs: 200 };
    const client = createClient(at, { token: null, tls: {} }, limits);
    await expect(client.get(FleetSchema, '/v1/fleet')).rejects.toThrow('did not answer in time');
    stuck.closeAllConnections();
    stuck.close();
  });
});
