/** What is said of a group of hosts, and of the hosts behind a gate, is what each of them says of itself. */
import { describe, expect, it } from 'vitest';
import { whyHost, whyRollout } from '../../src/reducer/read/why.ts';
import { Script } from './support/script.ts';

function played(...lines: readonly string[]): Script {
  const script = new Script();
  for (const line of lines) script.run(line);
  return script;
}

const START = ['channel a', 'wave a soak=0 a1 a2 a3', 'heartbeat * c0'];

function blockers(script: Script, hostname: string) {
  return whyHost(script.state, hostname, script.now).rollouts[0]?.blockers ?? [];
}

function ofRollout({ state, now }: Script, gate: string) {
  return whyRollout(state, 'a@1', now)?.hosts.find(({ why }) => why.gate === gate);
}

describe('hosts that one gate holds for reasons of their own', () => {
  it('are each told', () => {
    const script = played(...START, 'operator hold a1', 'operator hold a2', 'declare 1');
    const group = ofRollout(script, 'host-hold');
    expect(group).toMatchObject({ count: 2, held: ['a1', 'a2'] });
    for (const host of ['a1', 'a2']) {
      const [own] = blockers(script, host);
      expect(group?.why.because).toContain(`${host}: ${own?.because ?? '?'}`);
    }
    expect(group?.why.behind.map(({ hostname }) => hostname)).toEqual(['a1', 'a2']);
  });

  it('are told together where the reason is one', () => {
    const script = played('budget all max=1', ...START, 'declare 1');
    const group = ofRollout(script, 'disruption-budget');
    expect(group).toMatchObject({ count: 2, held: ['a2', 'a3'] });
    expect(group?.why).toMatchObject({ because: blockers(script, 'a2')[0]?.because, total: 1 });
  });
});

describe('a host behind a gate', () => {
  it('does what it does where it moves, not where it waits', () => {
    const script = played('budget all max=1', ...START, 'declare 1', 'event a1 ack', 'declare 2');
    const [why] = blockers(script, 'a2').filter(({ gate }) => gate === 'disruption-budget');
    expect(why?.behind).toMatchObject([{ hostname: 'a1', state: 'Activating' }]);
    expect(why?.behind[0]?.doing).toMatch(/^switching since .* in a@1$/);
  });

  it('of another channel is shown in its newest rollout', () => {
    const script = played(
      ...['channel a', 'wave a a1', 'channel b', 'wave b b1', 'channel-edge a after b'],
      ...['heartbeat * c0', 'declare 1', 'declare 2', 'event b1 ack', 'event b1 deferred'],
    );
    const [why] = blockers(script, 'a1').filter(({ gate }) => gate === 'channel-edges');
    expect(why?.behind).toMatchObject([{ hostname: 'b1', state: 'Deferred' }]);
    expect(why?.behind[0]?.doing).toMatch(/waits for a reboot in b@2$/);
  });
});

describe('a wave that only soaks', () => {
  it('names who came through last, and until when', () => {
    const script = played('channel a', 'wave a soak=5 a1 a2', 'wave a soak=5 a3', 'heartbeat * c0');
    for (const line of ['declare 1', 'event a1 ack', 'event a1 completed', 'event a1 converged'])
      script.run(line);
    for (const line of ['event a2 ack', 'event a2 completed', 'wait 1m', 'event a2 converged'])
      script.run(line);
    const [why] = blockers(script, 'a3').filter(({ gate }) => gate === 'wave-promotion');
    expect(why?.because).toMatch(/2 of 2 hosts converged, and soaks until 20/);
    expect(why?.hosts).toEqual(['a2']);
  });
});
