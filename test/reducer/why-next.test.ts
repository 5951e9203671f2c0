/** What a host waits for that no rollout of its own tells: the release that its channel declares, or another channel's. */
import { describe, expect, it } from 'vitest';
import { whyHost } from '../../src/reducer/read/why.ts';
import { Script } from './support/script.ts';

function played(...lines: readonly string[]): Script {
  const script = new Script();
  for (const line of lines) script.run(line);
  return script;
}

function blockers(script: Script, hostname: string) {
  return whyHost(script.state, hostname, script.now).rollouts[0]?.blockers ?? [];
}

describe('a host whose channel declares what no rollout of it has', () => {
  const next = ({ state, now }: Script, host: string) => whyHost(state, host, now).next;
  const FIRST = [
    ...['channel a finish-first', 'wave a soak=0 a1', 'channel b', 'wave b soak=0 b1 b2'],
    ...['heartbeat * c0', 'declare 1', 'event a1 ack'],
  ];
  /** b2 moves to a, and n1 is new there; the commit waits for a@1. */
  const MOVED = [
    ...[...FIRST, 'channel a finish-first', 'wave a soak=0 a1 b2 n1', 'channel b'],
    ...['wave b soak=0 b1', 'heartbeat n1 c0', 'declare 2'],
  ];

  it('waits for the rollout before it, be it new or moved', () => {
    const script = played(...MOVED);
    for (const host of ['b2', 'n1'])
      expect(next(script, host)).toMatchObject([
        {
          ...{ gate: 'release-waits', key: 'release-waits', since: null, hosts: ['a1'], total: 1 },
          because: 'rollout a@2 waits its turn; hosts of a@1 that are not through: 1',
          releasedBy: 'a@1 is through, or is cancelled (onNewRef: finish-first)',
          behind: [{ hostname: 'a1', state: 'Activating' }],
        },
      ]);
    // The one that it waits for has nothing else to wait for.
    expect(next(script, 'b1')).toEqual([]);
    script.run('operator cancel a@1');
    for (const host of ['b2', 'n1']) expect(next(script, host)).toEqual([]);
  });

  it('is not promised a successor that does not have it', () => {
    const script = played(...MOVED);
    const [halted] = blockers(script, 'b2');
    expect(halted).toMatchObject({
      gate: 'rollout-halted',
      releasedBy:
        'a rollout that has this host opens: none that superseded this one on channel b has',
    });
    script.run('operator cancel a@1');
    expect(blockers(script, 'b2').map(({ gate }) => gate)).toEqual(['dispatch-unacknowledged']);
  });

  it('is told what an operator stopped there', () => {
    const script = played(...MOVED, 'operator pause a', 'operator hold n1');
    expect(next(script, 'n1').map(({ key }) => key)).toEqual([
      ...['paused:channel', 'host-hold', 'release-waits'],
    ]);
    expect(next(script, 'b2').map(({ key, because }) => [key, /channel a/.test(because)])).toEqual([
      ['paused:channel', true],
      ['release-waits', false],
    ]);
  });

  it('is told that there is nothing to come', () => {
    const because = (script: Script, host: string) => next(script, host)[0]?.because;
    const script = played(...FIRST, 'forget b');
    expect(because(script, 'b1')).toBeUndefined();
    script.run('wave b soak=0 n2');
    script.run('resign');
    expect(because(script, 'n2')).toBe('rollout b@1 was opened without it');
    script.run('operator cancel b@1');
    expect(because(script, 'n2')).toBe('rollout b@1 has ended, and opens once only');
    const { content } = script.state;
    if (content === null) throw new Error('nothing is declared');
    const hosts = new Map([...content.hosts, ['n3', { channel: 'b', closureHash: null }] as const]);
    script.state.content = { ...content, hosts, ref: '3' };
    expect(because(script, 'n3')).toBe('the fleet declares no closure of it');
  });
});

describe('a host behind a channel edge', () => {
  it('is told who is missing while the commit of the other channel waits its turn', () => {
    const script = played(
      ...['channel a', 'wave a a1', 'channel b finish-first', 'wave b b1 b2'],
      ...['channel-edge a after b', 'heartbeat * c0', 'declare 1', 'event b1 ack', 'declare 2'],
    );
    const edge = () => blockers(script, 'a1').find(({ gate }) => gate === 'channel-edges');
    expect(edge()).toMatchObject({
      because: 'rollout b@2 is not opened: it waits its turn behind b@1; hosts not through: 2',
      behind: [{ hostname: 'b1', state: 'Activating' }, { hostname: 'b2' }],
    });
    script.run('operator pause b');
    expect(edge()?.because).toMatch(/hosts not through: 2; channel b is paused$/);
    script.run('operator cancel b@1');
    expect(edge()?.because).toMatch(
      /^rollout b@2 is Opening; hosts not through: 2; channel b is paused$/,
    );
  });
});
