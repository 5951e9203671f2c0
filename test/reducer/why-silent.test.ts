/** What a rollout tells whose hosts are not heard: of which wave, and since when. */
import { expect, it } from 'vitest';
import { whyRollout } from '../../src/reducer/read/why.ts';
import { Script } from './support/script.ts';

function played(...lines: readonly string[]): Script {
  const script = new Script();
  for (const line of lines) script.run(line);
  return script;
}

const through = (...hosts: readonly string[]) =>
  hosts.flatMap((host) =>
    ['ack', 'completed', 'converged'].map((event) => `event ${host} ${event}`),
  );

it('of the current one, where two are silent', () => {
  const script = played(
    ...['channel a', 'wave a soak=0 a1 a2 a3', 'wave a soak=0 b1 b2 b3', 'heartbeat * c0'],
    ...['silent a1', 'declare 1', ...through('a2', 'a3'), 'wait 16m'],
    ...['silent a2 a3', ...through('b1'), 'silent b2 b3', 'wait 16m'],
  );
  const [blocker] = whyRollout(script.state, 'a@1', script.now)?.rollout ?? [];
  expect(blocker).toMatchObject({ gate: 'fleet-silent', hosts: ['b2', 'b3'] });
  expect(blocker?.because).toContain('1 of 3 hosts of wave 1');
});

it('of the one that waits for somebody, where the current one is through and too few of the fleet are heard', () => {
  const script = played(
    ...['channel a', 'wave a soak=0 a1 a2 a3', 'wave a soak=0 b1', 'heartbeat * c0'],
    ...['silent a1', 'declare 1', ...through('a2', 'a3'), 'wait 16m'],
    ...['silent a2 a3', ...through('b1')],
  );
  const [blocker] = whyRollout(script.state, 'a@1', script.now)?.rollout ?? [];
  expect(blocker).toMatchObject({ gate: 'fleet-silent', hosts: ['a1'] });
  expect(blocker?.because).toContain('0 of 3 hosts of wave 0 and 1 of 4 of the fleet');
});

it('since it is, whatever else holds the rollout meanwhile', () => {
  const script = played(
    ...['channel a', 'wave a soak=0 a1', 'channel b', 'wave b soak=0 b1 b2', 'budget all max=1'],
    ...['heartbeat b1 c0', 'heartbeat b2 c0', 'declare 1'],
  );
  const blockers = () => whyRollout(script.state, 'a@1', script.now)?.rollout ?? [];
  const [silent] = blockers();
  expect(silent).toMatchObject({ gate: 'fleet-silent' });
  script.run('event b1 ack');
  script.run('event b2 ack');
  expect(blockers().map(({ key, since }) => [key, since])).toEqual([
    ['budget-exceeded:0', expect.not.stringMatching(silent?.since ?? '')],
    ['fleet-silent', silent?.since],
  ]);
});
