/** What one host can make the control plane keep, and write again with each of its events, has an end. */
import { describe, expect, it } from 'vitest';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { MOST_PROBES } from '../../src/reducer/host/step.ts';
import type { RecordRow } from '../../src/reducer/state/rows.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { Script } from './support/script.ts';

type ProbeResult = Extract<HostEvent, { kind: 'ProbeResult' }>;

function recordOf({ state }: Script): RecordRow {
  const record = state.rollouts.get('a@1')?.records.get('web1');
  if (record === undefined) throw new Error('web1 has no record');
  return record;
}

describe('what one host may have kept', () => {
  const soaking = (): Script => {
    const script = new Script();
    const fleet = ['channel a', 'wave a soak=60 web1', 'declare 1', 'heartbeat web1 c0'];
    for (const line of [...fleet, 'event web1 ack', 'event web1 completed']) script.run(line);
    return script;
  };
  let seq = 10;
  const say = (script: Script, probeName: string, more: Partial<ProbeResult> = {}): void => {
    seq += 1;
    const observedAt = timeOf(script.now);
    const event: ProbeResult = {
      ...({ kind: 'ProbeResult', seq, probeName, mode: 'enforce', status: 'fail' } as const),
      ...{ observedAt, ...more },
    };
    script.feed({ kind: 'AgentEvent', hostname: 'web1', rolloutId: 'a@1', event });
  };

  it('is results of a thousand probes, each of them the latest', () => {
    const script = soaking();
    for (let i = 0; i < MOST_PROBES; i += 1) say(script, `p${String(i)}`);
    const before = recordOf(script);
    say(script, 'one-too-many');
    expect(recordOf(script).probes).toEqual(before.probes);
    expect(recordOf(script).lastRefusal).toContain('ProbeResult:invariant-violated');
    say(script, 'p7', { status: 'pass' });
    expect(recordOf(script).probes['p7']?.status).toBe('pass');
  });

  it('is the beginning of a reason, and no half of a character', () => {
    const script = soaking();
    say(script, 'long', { failureReason: `${'x'.repeat(999)}😀${'y'.repeat(5_000)}` });
    say(script, 'short', { failureReason: 'refused' });
    const { probes } = recordOf(script);
    expect(probes['long']?.failureReason).toBe(`${'x'.repeat(999)}…`);
    expect(probes['short']?.failureReason).toBe('refused');
  });

  it('is a thousand failures, which clear as any', () => {
    const script = soaking();
    const subs = (status: 'pass' | 'fail') =>
      Array.from({ length: 1_500 }, (_, i) => ({
        controlId: `c${String(i)}`,
        framework: 'cis',
        status,
      }));
    const failures = () => script.state.rollouts.get('a@1')?.failures.get('web1')?.size ?? 0;
    say(script, 'evidence', { subResults: subs('fail') });
    expect(failures()).toBe(1_000);
    say(script, 'evidence', { status: 'pass', subResults: subs('pass') });
    expect(failures()).toBe(0);
  });
});
