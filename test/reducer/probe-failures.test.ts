/** Which controls of a host fail now, by what its probes say. */
import { expect, it } from 'vitest';
import { timeOf } from '../../src/reducer/time.ts';
import { Script } from './support/script.ts';

it('a control that is told for several frameworks fails if it does for one of them, whichever comes last', () => {
  const script = new Script();
  for (const line of ['channel a', 'wave a a1', 'heartbeat * c0', 'declare 1', 'event a1 ack'])
    script.run(line);
  script.run('event a1 completed');
  const subResults = (['fail', 'pass'] as const).map((status, i) => ({
    ...{ controlId: 'AC-1', status, framework: `framework-${String(i)}` },
  }));
  script.feed({
    ...{ kind: 'AgentEvent', hostname: 'a1', rolloutId: 'a@1' },
    event: {
      ...{ kind: 'ProbeResult', seq: 3, probeName: 'audit', mode: 'enforce', status: 'fail' },
      ...{ observedAt: timeOf(script.now), subResults },
    },
  });
  const failures = script.state.rollouts.get('a@1')?.failures.get('a1');
  expect([...(failures?.values() ?? [])].map(({ controlId }) => controlId).sort()).toEqual([
    '',
    'AC-1',
  ]);
});
