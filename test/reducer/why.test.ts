/** What is said of a group of hosts, and of the hosts behind a gate, is what each of them says of itself. */
import { describe, expect, it } from 'vitest';
import { planPreview } from '../../src/reducer/preview.ts';
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

  it('are counted whole, however few are asked and told', () => {
    const hosts = Array.from({ length: 60 }, (_, i) => `a${String(i)}`);
    const script = played('channel a', `wave a soak=0 ${hosts.join(' ')}`, 'heartbeat * c0');
    for (const host of hosts) script.run(`operator hold ${host}`);
    script.run('declare 1');
    const group = ofRollout(script, 'host-hold');
    expect(group).toMatchObject({ count: 60, why: { total: 60 } });
    expect(group?.held).toHaveLength(50);
    expect(group?.why.because).toMatch(/; and 55 more$/);
  });
});

describe('a full budget of a host that something else holds too', () => {
  const TWO_WAVES = ['channel a', 'wave a soak=0 a1 a2', 'wave a soak=0 a3', 'heartbeat * c0'];
  const budgetOf = (script: Script, host: string) =>
    blockers(script, host).find(({ gate }) => gate === 'disruption-budget');

  it('holds it since it is full, and counts in its rollout', () => {
    const script = played('budget all max=1', ...TWO_WAVES, 'declare 1');
    const granted = script.state.live.get('a@1')?.dispatches.get('a1')?.enqueuedAt;
    expect(budgetOf(script, 'a3')).toMatchObject({ since: granted, total: 1 });
    expect(ofRollout(script, 'disruption-budget')).toMatchObject({
      ...{ count: 2, held: ['a2', 'a3'] },
      why: { since: granted },
    });
    script.run('wait 5m');
    script.run('event a1 ack');
    // a2 waits for nothing else: no slot was free since.
    expect(budgetOf(script, 'a3')?.since).toBe(granted);
  });

  it('is dated by who is in flight where nobody waits for it alone', () => {
    const script = played('budget all max=1', ...TWO_WAVES, 'declare 1', 'event a1 ack');
    const acked = script.state.live.get('a@1')?.records.get('a1')?.lastAcceptedAt;
    script.run('operator pause');
    expect(budgetOf(script, 'a3')?.since).toBe(acked);
  });
});

describe('a host that waits for a reboot', () => {
  const STAGED = [
    ...['channel a', 'wave a soak=0 a1 a2', 'heartbeat * c0', 'declare 1'],
    ...['event a1 ack', 'event a1 deferred'],
  ];

  it('is told since when, and what releases it', () => {
    const script = played(...STAGED);
    const since = script.state.live.get('a@1')?.records.get('a1')?.lastAcceptedAt;
    const [why, ...others] = blockers(script, 'a1');
    expect(others).toEqual([]);
    expect(why).toMatchObject({ gate: 'reboot-pending', since, hosts: ['a1'], total: 1 });
    expect(why?.because).toMatch(/takes effect with a reboot/);
    expect(why?.releasedBy).toMatch(/^the host reboots;/);
    expect(why?.behind[0]?.doing).toBe(`staged, waits for a reboot since ${String(since)}`);
    for (const line of ['event a2 ack', 'event a2 deferred']) script.run(line);
    expect(ofRollout(script, 'reboot-pending')).toMatchObject({
      ...{ count: 2, held: ['a1', 'a2'] },
      why: { since, total: 2, hosts: ['a1', 'a2'] },
    });
    script.run('event a1 completed');
    expect(blockers(script, 'a1')).toEqual([]);
  });
});

describe('a host that waits for nothing', () => {
  const CONVERGED = [
    ...['channel a', 'wave a soak=0 a1', 'heartbeat * c0', 'declare 1'],
    ...['event a1 ack', 'event a1 completed', 'event a1 converged'],
  ];
  const next = ({ state, now }: Script) => whyHost(state, 'a1', now).next;

  it('is told what an operator stopped for whatever comes next', () => {
    const script = played(...CONVERGED);
    expect(next(script)).toEqual([]);
    for (const line of ['operator hold a1', 'operator pause a', 'operator pause']) script.run(line);
    const { host } = whyHost(script.state, 'a1', script.now);
    expect(blockers(script, 'a1')).toEqual([]);
    expect(next(script)).toMatchObject([
      { key: 'paused:fleet', releasedBy: 'an operator resumes the fleet' },
      { key: 'paused:channel' },
      { key: 'host-hold', since: host?.hold?.at },
    ]);
    script.run('declare 2');
    expect(blockers(script, 'a1').map(({ key }) => key)).toEqual(
      expect.arrayContaining(['host-hold', 'paused:channel', 'paused:fleet']),
    );
    expect(next(script)).toEqual([]);
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
    expect(why?.behind[0]?.doing).toMatch(/waits for a reboot since \S+ in b@2$/);
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

describe('a dispatch that its host has not acknowledged', () => {
  const GRANTED = ['channel a', 'wave a soak=0 a1', 'heartbeat * c0', 'declare 1'];

  it('is what the host waits for, since when, and what would release it', () => {
    const script = played(...GRANTED);
    const [why, ...others] = blockers(script, 'a1');
    expect(others).toEqual([]);
    expect(why).toMatchObject({ gate: 'dispatch-unacknowledged', hosts: ['a1'], total: 1 });
    expect(why?.since).toBe(script.state.live.get('a@1')?.dispatches.get('a1')?.enqueuedAt);
    expect(why?.because).toMatch(/^dispatched at 20\S+Z, not acknowledged yet$/);
    expect(why?.releasedBy).toMatch(/^its agent acknowledges it; `hold` and then `withdraw`/);
    expect(ofRollout(script, 'dispatch-unacknowledged')).toMatchObject({
      ...{ count: 1, held: ['a1'] },
      why: { since: why?.since, because: why?.because },
    });
    script.run('event a1 ack');
    expect(blockers(script, 'a1')).toEqual([]);
    expect(ofRollout(script, 'dispatch-unacknowledged')).toBeUndefined();
  });

  it('was fetched or not, where somebody looked', () => {
    const { state, now } = played(...GRANTED);
    const because = (offers: ReadonlyMap<string, string>) =>
      whyHost(state, 'a1', now, offers).rollouts[0]?.blockers[0]?.because;
    expect(because(new Map())).toMatch(/, not fetched by its agent yet$/);
    const at = '2026-05-16T01:27:01.000Z';
    expect(because(new Map([['a@1', at]]))).toContain(`last fetched by its agent at ${at}`);
  });

  it('is not offered while the channel is paused, which is said too', () => {
    const script = played(...GRANTED, 'offer a1', 'operator pause a');
    const [awaits, paused] = blockers(script, 'a1');
    expect(awaits?.because).toMatch(/not acknowledged yet; not offered now$/);
    expect(paused).toMatchObject({ gate: 'paused', releasedBy: 'an operator resumes channel a' });
    const { blocked } = planPreview(script.state, script.now);
    expect(blocked).toEqual([{ rolloutId: 'a@1', hostname: 'a1', gates: ['paused:channel'] }]);
  });

  it('is said once when it was refused', () => {
    const lines = ['offer a1', 'wait 11m', 'heartbeat a1 c0', 'wait 1m'];
    const gates = blockers(played(...GRANTED, ...lines), 'a1').map(({ gate }) => gate);
    expect(gates).toEqual(['dispatch-refused']);
  });
});

describe('a rollout that does not get on as a whole', () => {
  const SILENT = [
    ...['channel a', 'wave a soak=0 a1 a2 a3', 'wave a soak=0 a4', 'heartbeat a1 c0', 'declare 1'],
    ...['event a1 ack', 'event a1 completed', 'event a1 converged'],
  ];
  const ofHost = ({ state, now }: Script, host: string) => whyHost(state, host, now).rollout;

  it('holds each host that waits in it, and says so there as it does of itself', () => {
    const script = played(...SILENT);
    const whole = whyRollout(script.state, 'a@1', script.now)?.rollout;
    expect(whole).toMatchObject([{ key: 'fleet-silent', hosts: ['a2', 'a3'] }]);
    expect(whole?.[0]?.since).not.toBeNull();
    for (const host of ['a2', 'a4']) expect(ofHost(script, host)).toEqual(whole);
    // It came through, and waits for nothing.
    expect(ofHost(script, 'a1')).toEqual([]);
    script.run('operator write-off a2');
    expect(ofHost(script, 'a2')).toEqual([]);
  });
});

describe('a host whose soak is over, and that is not through', () => {
  const SOAKING = [
    ...['channel a', 'wave a soak=5 a1', 'wave a soak=5 a2', 'heartbeat * c0', 'declare 1'],
    ...['event a1 ack', 'event a1 completed', 'event a1 probe http pass'],
  ];
  const ofWave = (script: Script) =>
    blockers(script, 'a2').find(({ gate }) => gate === 'wave-promotion')?.behind[0]?.doing;
  const keys = (script: Script) => blockers(script, 'a1').map(({ key }) => key);

  it('is held by the probe that fails, and by one that passes now and then, until it is through', () => {
    const script = played(...SOAKING, 'event a1 probe http fail');
    expect(keys(script)).toEqual([]);
    expect(ofWave(script)).toMatch(/^soaking until/);
    script.run('wait 6m');
    const due = String(script.state.live.get('a@1')?.records.get('a1')?.soakDueAt);
    const [why, ...others] = blockers(script, 'a1');
    expect(others).toEqual([]);
    expect(why).toMatchObject({ gate: 'soak-overdue', hosts: ['a1'] });
    expect(why?.because).toMatch(
      /^its soak is over, and its enforced probe http fails, from 20\S+ on$/,
    );
    expect(why?.releasedBy).toMatch(
      /probes pass and its agent says Converged, or Failed; a write-off/,
    );
    expect(ofRollout(script, 'soak-overdue')).toMatchObject({ count: 1, held: ['a1'] });
    expect(ofWave(script)).toBe(`soak over since ${due}, probe http fails`);
    expect(planPreview(script.state, script.now).blocked).toContainEqual({
      ...{ rolloutId: 'a@1', hostname: 'a1', gates: ['soak-overdue'] },
    });
    const { since } = why ?? {};
    for (const outcome of ['pass', 'fail', 'pass']) script.run(`event a1 probe http ${outcome}`);
    expect(blockers(script, 'a1')).toMatchObject([{ key: 'soak-overdue', since }]);
    expect(ofWave(script)).toBe(`soak over since ${due}`);
    script.run('event a1 converged');
    expect(keys(script)).toEqual([]);
  });

  it('is held by what its heartbeat reports', () => {
    const script = played(...SOAKING, 'heartbeat a1 c9', 'wait 6m');
    expect(blockers(script, 'a1')[0]?.because).toBe(
      'its soak is over, and its heartbeat reports c9, not the target c1',
    );
    expect(ofWave(script)).toMatch(/, reports c9, not its target$/);
  });

  it('is held where its Converged was not believed', () => {
    const script = played(...SOAKING, 'event a1 converged closure=c9', 'wait 6m');
    expect(blockers(script, 'a1')[0]?.because).toMatch(
      /, and its Converged was refused, as its log/,
    );
    expect(ofWave(script)).toMatch(/, its Converged was refused$/);
  });

  it('is held after some minutes where nobody says why, unless it is silent', () => {
    const script = played(...SOAKING, 'wait 6m');
    expect(keys(script)).toEqual([]);
    expect(ofWave(script)).toMatch(/^soak over since \S+$/);
    script.run('wait 4m');
    expect(blockers(script, 'a1')[0]?.because).toMatch(/its agent has not said that it converged$/);
    expect(keys(played(...SOAKING, 'silent a1', 'wait 20m'))).toEqual(['unreachable-move']);
  });

  it('has a soak no shorter than its switch was long', () => {
    const script = played(
      ...['channel a', 'wave a soak=5 a1', 'heartbeat * c0', 'declare 1', 'event a1 ack'],
      ...['wait 20m', 'event a1 completed', 'event a1 probe http pass', 'wait 1m'],
    );
    expect(keys(script)).toEqual([]);
  });
});

describe('a host that falls silent on its way', () => {
  const MOVING = [
    'channel a',
    'wave a soak=0 a1',
    'wave a soak=0 a2',
    'heartbeat * c0',
    'declare 1',
  ];

  it('is not called heard where its move was stuck before', () => {
    const script = played(...MOVING, 'event a1 ack', 'wait 59m', 'heartbeat a1 c0', 'wait 2m');
    const said = () => blockers(script, 'a1').find(({ gate }) => gate === 'stuck-move')?.because;
    expect(said()).toMatch(/^it is heard, but its agent has said nothing of this move since /);
    script.run('silent a1');
    expect(said()).toMatch(/^its agent has said nothing .*; it is unreachable since \S+$/);
  });

  it('holds its rollout, since when, until it is heard or written off', () => {
    const script = played(...MOVING, 'event a1 ack');
    expect(blockers(script, 'a1')).toEqual([]);
    script.run('silent a1');
    const since = script.state.hosts.get('a1')?.row.reachabilityAt;
    const [why, ...others] = blockers(script, 'a1');
    expect(others).toEqual([]);
    expect(why).toMatchObject({ gate: 'unreachable-move', since, hosts: ['a1'] });
    expect(why?.releasedBy).toBe('its agent is heard again, or an operator writes it off');
    expect(ofRollout(script, 'unreachable-move')).toMatchObject({ count: 1, held: ['a1'] });
    const [wave] = blockers(script, 'a2').filter(({ gate }) => gate === 'wave-promotion');
    expect(wave?.behind[0]?.doing).toMatch(
      new RegExp(`^switching since .*, unreachable since ${String(since)}$`),
    );
    script.run('heartbeat a1 c0');
    expect(blockers(script, 'a1')).toEqual([]);
    script.run('silent a1');
    script.run('operator write-off a1');
    expect(blockers(script, 'a1')).toEqual([]);
  });

  it('on its way back, too: its slot is not given back before', () => {
    const script = played(
      ...['budget all max=1', 'channel a rollback max-failures=1', 'wave a soak=0 a1 a2'],
      ...['heartbeat * c0', 'declare 1', 'event a1 ack', 'event a1 activation-failed'],
    );
    expect(blockers(script, 'a1')).toEqual([]);
    script.run('silent a1');
    const since = script.state.hosts.get('a1')?.row.reachabilityAt;
    const [why, ...others] = blockers(script, 'a1');
    expect(others).toEqual([]);
    expect(why).toMatchObject({ gate: 'unreachable-move', since, hosts: ['a1'] });
    expect(why?.because).toMatch(/^its agent fell silent while it rolled back; it keeps its slot/);
    expect(ofRollout(script, 'unreachable-move')).toMatchObject({ count: 1, held: ['a1'] });
    const budget = () => blockers(script, 'a2').find(({ gate }) => gate === 'disruption-budget');
    const back = `^rolling back since \\S+, unreachable since ${String(since)}`;
    expect(budget()?.behind[0]?.doing).toMatch(new RegExp(`${back}$`));
    expect(budget()?.releasedBy).toMatch(/; 1 of them is not heard: .* write-off/);
    script.run('declare 2');
    expect(budget()?.behind[0]?.doing).toMatch(new RegExp(`${back} in a@1$`));
    expect(blockers(script, 'a1').find(({ gate }) => gate === 'host-busy')).toMatchObject({
      because: 'it is moving in a@1 (rolling back)',
      releasedBy: expect.stringMatching(/withdraws its dispatch$/) as string,
    });
    script.run('operator write-off a1');
    expect(budget()?.behind[0]?.hostname).not.toBe('a1');
  });

  it('before it acknowledged: its slot comes back by itself, and when', () => {
    const script = played(...MOVING, 'offer a1', 'silent a1');
    const since = script.state.hosts.get('a1')?.row.reachabilityAt ?? '';
    const [why] = blockers(script, 'a1').filter(({ gate }) => gate === 'dispatch-unacknowledged');
    const until = new Date(Date.parse(since) + 30 * 60_000).toISOString();
    expect(why?.because).toContain(
      `not acknowledged yet; unreachable since ${since}, so that it is given up about ${until}`,
    );
    expect(why?.releasedBy).toMatch(
      /heard for 30 min, after which its slot is free; `hold` and then `withdraw`/,
    );
    expect(why?.behind[0]?.doing).toMatch(
      new RegExp(`, unreachable since ${since}, given up about ${until}$`),
    );
  });

  it('before it acknowledged, while no host at all is heard: its slot does not come back by itself', () => {
    const script = played(...MOVING, 'offer a1', 'silent a1', 'deaf', 'wait 1m');
    const { deafSince } = script.state.fleet;
    const why = () => blockers(script, 'a1').find((b) => b.gate === 'dispatch-unacknowledged');
    expect(why()?.because).toMatch(
      new RegExp(
        `given up only some minutes after hosts are heard again, .* since ${String(deafSince)}$`,
      ),
    );
    for (const line of ['wait 40m', 'hearing', 'wait 1m']) script.run(line);
    const listened = Date.parse(script.state.fleet.listeningSince ?? '') + 5 * 60_000;
    expect(why()?.because).toContain(`given up about ${new Date(listened).toISOString()}`);
  });
});
