/** Ages and alarms on a machine whose clock is another than the control plane's. */
import { expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { createServerClock } from '../../src/wire/server-clock.ts';
import { fakeServer } from './fake-server.ts';
import { run } from './support.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** `muster status --check` of a fleet that was signed five minutes ago and is fresh for `minutes`, at a server whose clock is `ahead`. */
async function checked(ahead: number, minutes: number) {
  const at = (ms: number): string => new Date(Date.now() + ahead + ms).toISOString();
  const rest = { rollouts: {}, hosts: {}, reachability: {}, blockers: {}, quarantines: 0 };
  const idle = { rolloutId: 'edge@b', since: at(-5 * MINUTE) };
  const answers: Record<string, object> = {
    '/v1/fleet': {
      ...{ seq: 1, headSeq: 1, deferrals: 0, ...rest, idle },
      ...{ signedAt: at(-5 * MINUTE), staleAt: at(minutes * MINUTE) },
    },
    '/v1/leader': {
      ...{ epoch: 1, holder: 'a', address: 'a', version: '1', incarnation: 'a', headSeq: 1 },
      ...{ since: at(-HOUR), lastCommitAt: at(-MINUTE) },
    },
    '/v1/queue': { rows: 0, oldestSeconds: 0, dead: 0, latestDead: [] },
    '/v1/channels': { channels: [] },
    '/v1/rollouts': { rollouts: [] },
  };
  const server = await fakeServer(({ pathname }, response) => {
    response.setHeader('date', new Date(Date.now() + ahead).toUTCString());
    return answers[pathname];
  });
  const found = await run(
    (args, io) => runNoun('status', args, io, { MUSTER_URL: server.url }),
    '--check',
  );
  server.close();
  return found;
}

it.each([0, -3 * HOUR, 3 * HOUR])('are by the control plane’s, be it %d ms off', async (ahead) => {
  const well = await checked(ahead, 60);
  expect(well).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/signed 5m ago$/m) as string,
  });
  expect(well.stdout).toMatch(/^leader {4}a, epoch 1, for 1h, last commit 1m ago$/m);
  expect(await checked(ahead, -3)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^! the first manifest is stale since 3m: /m) as string,
  });
  const said = {
    0: /^(?!clock)/,
    '-1': /^clock .*is 3h ahead of the/m,
    1: /^clock .*is 3h behind the/m,
  };
  expect(well.stdout).toMatch(said[Math.sign(ahead) as -1 | 0 | 1]);
});

it('are told by one’s own while the other says about the same, or nothing', () => {
  const clock = createServerClock(() => 10 * HOUR);
  const heard = (ms: number): number => {
    clock.heard(new Date(10 * HOUR + ms).toUTCString());
    return clock.aheadMs();
  };
  clock.heard(null);
  clock.heard('yesterday');
  expect([clock.now(), heard(-4_000), heard(4_000)]).toEqual([10 * HOUR, 0, 0]);
  expect([heard(HOUR), heard(HOUR + 1_000), heard(HOUR - 1_000)]).toEqual(
    Array(3).fill(-HOUR - 500),
  );
  expect(clock.now()).toBe(11 * HOUR + 500);
  expect([heard(HOUR + 9_000), heard(0)]).toEqual([-HOUR - 9_500, 0]);
});
