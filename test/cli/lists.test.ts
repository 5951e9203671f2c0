/** Lists longer than a page of the API: whole when they are asked for whole, and never cut without a word. */
import { afterEach, describe, expect, it } from 'vitest';
import { eventLine } from '../../src/cli/operate/events.ts';
import { idCell, painter, table } from '../../src/cli/operate/show.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { fakeServer, type FakeServer } from './fake-server.ts';
import { run, type Outcome } from './support.ts';

const AT = '2026-05-16T01:27:01.000Z';
const INCARNATION = '0b0f7c1e-93a4-4ef5-8a53-6a1f4e6f8d20';

const servers: FakeServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Pages by key, 1,000 at the most, and no cursor only where a page was not full: as the API gives them. */
function pageOf<T>(all: readonly T[], keyOf: (one: T) => string, query: URLSearchParams) {
  const limit = Math.min(Number(query.get('limit') ?? 1_000), 1_000);
  const cursor = query.get('cursor');
  const from = cursor === null ? 0 : all.findIndex((one) => keyOf(one) === cursor) + 1;
  const rows = all.slice(from, from + limit);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return { rows, ...(last === undefined ? {} : { nextCursor: keyOf(last) }) };
}

const HOST = {
  ...{
    channel: 'stable',
    converged: false,
    pendingReboot: false,
    held: false,
    reachability: 'never',
  },
  ...{ outstandingComplianceFailures: 0, outstandingRuntimeGateErrors: 0 },
  ...{ verifiedEventCount: 0, outstandingHealthFailures: 0 },
};
const HOSTS = Array.from({ length: 2_500 }, (_, i) => ({
  ...HOST,
  hostname: `h${String(i + 1e5)}`,
}));

async function fleet(breaksAt = Infinity): Promise<FakeServer> {
  const server = await fakeServer((url) => {
    if (url.pathname !== '/v1/hosts') return undefined;
    const { rows: hosts, ...rest } = pageOf(HOSTS, (one) => one.hostname, url.searchParams);
    return server.asked.length > breaksAt ? undefined : { hosts, ...rest };
  });
  servers.push(server);
  return server;
}

/** Five thousand rows, of which every second is a transition; a page ends after `most`. */
async function logOf(most: number): Promise<FakeServer> {
  const rows = Array.from({ length: 5_000 }, (_, i) => ({
    ...{ seq: i + 1, ts: AT, epoch: 1, kind: i % 2 === 0 ? 'transition' : 'liveness' },
    payload: { v: 2 },
  }));
  const server = await fakeServer((url) => {
    if (url.pathname !== '/v1/events') return undefined;
    const query = url.searchParams;
    const seqIn = (name: string): number | null =>
      query.has(name) ? Number(query.get(name)?.split(':')[1]) : null;
    const last = query.get('last');
    const limit = Math.min(Number(last ?? query.get('limit') ?? most), most);
    const [after, before] = [seqIn('after') ?? 0, seqIn('before') ?? Infinity];
    const kind = query.get('kind');
    const found = rows.filter(
      (row) => row.seq > after && row.seq < before && (kind === null || row.kind === kind),
    );
    const events = last === null ? found.slice(0, limit) : found.slice(-limit);
    const more = last === null && events.length < found.length;
    const [first, end] = [
      events[0]?.seq ?? 1,
      more ? (events.at(-1)?.seq ?? 0) : Math.min(5_000, before - 1),
    ];
    const earlier = last !== null && events.length === limit && first > 1;
    return {
      ...{ events, more, cursor: `${INCARNATION}:${String(end)}` },
      ...(earlier ? { earlier: `${INCARNATION}:${String(first)}` } : {}),
    };
  });
  servers.push(server);
  return server;
}

function muster({ url }: FakeServer, line: string): Promise<Outcome> {
  const [noun = '', ...args] = line.split(' ');
  return run((rest, io) => runNoun(noun, rest, io, { MUSTER_URL: url }), ...args);
}

interface Hosts {
  readonly hosts: readonly { readonly hostname: string }[];
  readonly nextCursor?: string;
  readonly error?: string;
}
const hostsIn = ({ stdout }: Outcome): Hosts => JSON.parse(stdout) as Hosts;
const seqsIn = ({ stdout }: Outcome): number[] =>
  stdout
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { seq: number }).seq]));
const ROLLOUT = `stable@${'a1'.repeat(20)}`;
const upTo = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

describe('a list of hosts', () => {
  it('has as many as were asked for, and says how to go on', async () => {
    const server = await fleet();
    const found = await muster(server, 'host list --limit 1500');
    expect(found.stdout.split('\n')).toHaveLength(1_502);
    expect(found.stderr).toBe(
      "muster: 1500 lines shown, and there are more: --limit, --all or --cursor 'h101499'\n",
    );
    const json = hostsIn(await muster(server, 'host list --limit 1500 --json'));
    expect([json.hosts.length, json.nextCursor]).toEqual([1_500, 'h101499']);
    const rest = hostsIn(await muster(server, `host list --all --json --cursor h101499`));
    expect([...json.hosts, ...rest.hosts].map(({ hostname }) => hostname)).toEqual(
      HOSTS.map(({ hostname }) => hostname),
    );
    expect(rest).not.toHaveProperty('nextCursor');
  });

  it('is not called cut when it is whole', async () => {
    const server = await fleet();
    for (const line of ['host list --all', 'host list --limit 2500', 'host list --limit 9999']) {
      const { code, stdout, stderr } = await muster(server, line);
      expect([line, code, stdout.split('\n').length, stderr]).toEqual([line, 0, 2_502, '']);
    }
    expect((await muster(server, 'host list --all --limit 5')).stderr).toContain(
      'exclude each other',
    );
  });

  it('that breaks off is still JSON, says why, and where to go on', async () => {
    const broken = await muster(await fleet(2), 'host list --all --json');
    const json = hostsIn(broken);
    expect([broken.code, json.hosts.length, json.error, json.nextCursor]).toEqual([
      ...[1, 2_000, 'not-found', 'h101999'],
    ]);
    const table = await muster(await fleet(2), 'host list --all');
    expect(table.stderr).toContain('there is nothing at /v1/hosts');
    expect(table.stderr).toContain("--cursor 'h101999'");
  });
});

describe('rows of the log', () => {
  it.each([1_000, 700])('are as many as were asked for, in order; pages of %i', async (most) => {
    const server = await logOf(most);
    const tail = (line: string): Promise<Outcome> => muster(server, `events tail --json ${line}`);
    expect(seqsIn(await tail('-n 3000'))).toEqual(upTo(2_001, 5_000));
    expect(seqsIn(await tail('-n 1500 --kind transition'))).toEqual(upTo(2_001, 4_999, 2));
    const all = await tail('--all');
    expect([seqsIn(all), all.stderr]).toEqual([upTo(1, 5_000), '']);
    const some = await tail('-n 1500');
    expect(some.stderr).toBe(`${JSON.stringify({ nextCursor: `${INCARNATION}:3501` })}\n`);
    expect(seqsIn(await tail(`-n 2000 --cursor ${INCARNATION}:3501`))).toEqual(upTo(1_501, 3_500));
    expect(seqsIn(await tail(`--all --cursor ${INCARNATION}:3501`))).toEqual(upTo(1, 3_500));
    expect((await tail('-n 5000')).stderr).toBe('');
  });

  it('of a trace are one JSON array, however many', async () => {
    const server = await logOf(1_000);
    const { stdout, stderr } = await muster(server, `rollout trace ${ROLLOUT} --limit 3000 --json`);
    const rows = JSON.parse(stdout) as { readonly seq: number }[];
    expect(rows.map(({ seq }) => seq)).toEqual(upTo(2_001, 5_000));
    expect(stderr).toContain('nextCursor');
    expect((await muster(server, `rollout trace ${ROLLOUT}`)).stderr).toMatch(
      /^muster: there are earlier rows: .* --cursor 0b0f\S+:4801\n$/,
    );
  });
});

describe('a table', () => {
  const room = (columns: number | null) => ({ paint: painter(false), columns });
  const id = `${'big'.repeat(20)}@${'a1'.repeat(20)}`;
  const row = ['Active', idCell(id)];

  it('shortens the id that has no room, and cuts none', () => {
    expect(table(['STATE', 'ID'], [row], room(null))).toContain(id);
    expect(table(['STATE', 'ID'], [row], room(120))).toContain(id);
    const both = table(['STATE', 'ID'], [row, ['Active', idCell('a@0')]], room(80));
    expect(both).toContain('  a@0\n');
    for (const columns of [80, 20]) {
      const [, line = ''] = table(['STATE', 'ID'], [row], room(columns)).split('\n');
      expect(line).toBe(`Active  ${'big'.repeat(20)}@a1a1a1a1a1a1`);
    }
  });

  it('cuts what names nothing', () => {
    const text = table(['STATE', 'WHY'], [['Active', 'x'.repeat(90)]], room(40));
    expect(text.split('\n')[1]).toBe(`Active  ${'x'.repeat(31)}…`);
  });
});

describe('a row of the log', () => {
  const event = {
    ...{
      seq: 459,
      epoch: 1,
      ts: '2026-11-29T13:17:26.583Z',
      kind: 'transition' as const,
      causedBy: 458,
    },
    ...{ rolloutId: ROLLOUT, channel: 'stable', host: 'web-12' },
    payload: { v: 2, from: 'Failed', to: 'Reverted' },
  };
  const line = (columns: number | null) => eventLine({ paint: painter(false), columns }, event, 1);

  it('begins with what matters most where it is cut, and is whole elsewhere', () => {
    expect(line(80)).toBe(
      '    459  13:17:26    transition  Failed → Reverted  web-12 stable@a1a1a1a1a1a1 …\n',
    );
    expect(line(200)).toBe(
      '    459  2026-11-29 13:17:26    transition  Failed → Reverted  web-12 stable@a1a1a1a1a1a1 ←458  {"from":"Failed","to":"Reverted"}\n',
    );
    expect(line(null)).toBe(
      `    459  2026-11-29 13:17:26    transition  ${ROLLOUT} web-12 ←458  {"from":"Failed","to":"Reverted"}\n`,
    );
  });
});

it('finds a rollout by the beginning of its ref, however many came after it', async () => {
  const refs = Array.from({ length: 120 }, (_, i) => (0xdd00 + i).toString(16).padEnd(40, '0'));
  const one = {
    seq: 1,
    channel: 'p',
    state: 'Superseded',
    currentWave: 0,
    waves: 1,
    createdAt: AT,
  };
  const server = await fakeServer(({ pathname, searchParams }) => {
    if (pathname !== '/v1/rollouts') return undefined;
    const found = refs.filter((ref) => ref.startsWith(searchParams.get('ref') ?? '')).reverse();
    const rollouts = found.slice(0, 50).map((ref) => ({ ...one, rolloutId: `p@${ref}` }));
    return { rollouts, ...(found.length > 50 ? { nextCursor: '1' } : {}) };
  });
  servers.push(server);
  const show = (name: string): Promise<Outcome> =>
    run((args, io) => runNoun('rollout', args, io, { MUSTER_URL: server.url }), 'show', name);
  await show('p@dd00');
  const whole = encodeURIComponent(`p@${refs[0] ?? ''}`);
  expect(server.asked).toContain(`/v1/rollouts/${whole}/lifecycle`);
  expect(await show('p@dd')).toMatchObject({ code: 2 });
  expect((await show('p@dd')).stderr).toContain('is the beginning of several rollouts');
});
