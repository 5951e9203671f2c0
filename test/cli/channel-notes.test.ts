/** What `muster channel show` and `muster status --check` make of a channel's standing remark. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { fakeServer } from './fake-server.ts';
import { run } from './support.ts';

const AT = '2026-05-16T01:27:01.000Z';
const channel = (name: string, note: string) => ({
  ...{ name, note, seq: 1, hosts: 2, freshness_window_minutes: 60 },
  ...{ currentRolloutId: `${name}@1`, rolloutState: 'Active' },
});
const gone = channel('gone', 'not-declared');
const bare = channel('bare', 'no-release');
let channels: readonly object[] = [gone, bare];
let server: Awaited<ReturnType<typeof fakeServer>>;

beforeAll(async () => {
  const answers: Record<string, object> = {
    '/v1/fleet': {
      ...{ seq: 1, headSeq: 1, rollouts: {}, hosts: {}, reachability: {}, blockers: {} },
      ...{ quarantines: 0, deferrals: 0 },
    },
    '/v1/leader': {
      ...{ epoch: 1, holder: 'a', address: 'a', version: '1', since: AT, incarnation: 'a' },
      headSeq: 1,
    },
    '/v1/queue': { rows: 0, oldestSeconds: 0, dead: 0, latestDead: [] },
    '/v1/channels/gone': gone,
    '/v1/channels/bare': bare,
    '/v1/rollouts': { rollouts: [] },
  };
  server = await fakeServer(({ pathname }) =>
    pathname === '/v1/channels' ? { channels } : answers[pathname],
  );
});
afterAll(() => {
  server.close();
});

const muster = (noun: string, ...args: string[]) =>
  run((rest, io) => runNoun(noun, rest, io, { MUSTER_URL: server.url }), ...args);

it('tells a channel that the fleet has no more from one that declares no release now', async () => {
  expect((await muster('channel', 'show', 'gone')).stdout).toContain(
    'the fleet declares it no more',
  );
  const { stdout } = await muster('channel', 'show', 'bare');
  expect(stdout).toContain('it declares no release; its last rollout goes on');
  expect(stdout).not.toContain('cancel');
});

it('alarms about the first alone: the second gets on', async () => {
  const { code, stdout } = await muster('status', '--check', '--json');
  const { alarms } = JSON.parse(stdout) as { alarms: string[] };
  expect({ code, alarms }).toEqual({
    code: 1,
    alarms: ['channel gone: not-declared; see muster channel show gone'],
  });
});

it('names three of hundreds that are the same, and counts the others', async () => {
  const pause = { actor: 'ada', reason: 'disk alarms', at: AT };
  const many = (n: number, more: object, name: string) =>
    Array.from({ length: n }, (_, i) => ({
      ...channel(`${name}${String(i)}`, 'no-release'),
      ...more,
    }));
  channels = [
    ...many(400, { note: 'not-declared' }, 'team'),
    ...many(5, { pause }, 'paused'),
    ...many(4, { rolloutState: 'Failed' }, 'bad'),
  ];
  const { stdout } = await muster('status', '--check', '--json');
  const { alarms } = JSON.parse(stdout) as { alarms: string[] };
  expect(alarms).toHaveLength(9);
  expect(alarms[0]).toBe('rollout bad0@1 is Failed; see muster rollout show bad0');
  expect(alarms.slice(3, 5)).toEqual([
    '1 more rollout Failed or Reverted; see muster channel list',
    'channel paused0 is paused by ada: disk alarms',
  ]);
  expect(alarms.slice(7)).toEqual([
    '2 more channels paused; see muster channel list',
    'channels team0, team1, team2 and 397 more: not-declared; see muster channel show team0',
  ]);
  const shown = (await muster('status')).stdout;
  expect(shown).toMatch(/^and 385 more channels; see muster channel list$/m);
  channels = [...many(400, {}, 'calm'), ...many(1, { pause }, 'paused')];
  expect((await muster('status')).stdout).toMatch(/^CHANNEL .*\npaused0 .*\ncalm0 /m);
});
