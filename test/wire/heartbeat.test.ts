/** Heartbeats as agents write them: what is taken, and what is said of the rest. */
import { describe, expect, it } from 'vitest';
import { decodeHeartbeat } from '../../src/wire/agent.ts';

const LEAST = { hostname: 'web-01', at: '2026-05-16T01:27:01Z' };
const manyRollouts = Object.fromEntries(
  Array.from({ length: 257 }, (_, i) => [`stable@${i.toString(16)}`, 1]),
);

function complaint(more: object): string {
  const decoded = decodeHeartbeat({ ...LEAST, ...more });
  if (decoded.ok) throw new Error('taken, against expectation');
  return decoded.detail;
}

describe('decodeHeartbeat', () => {
  it('takes null for absent, and ignores what it does not know', () => {
    const sparse = { ...LEAST, rollout_id: null, uptime_secs: null, temperature: 21 };
    expect(decodeHeartbeat(sparse)).toEqual({
      ok: true,
      heartbeat: {
        hostname: 'web-01',
        rolloutId: null,
        currentClosure: null,
        at: '2026-05-16T01:27:01.000Z',
        agentVersion: null,
        uptimeSecs: null,
        lastEventSeqByRollout: {},
      },
    });
  });

  it.each([
    [{ current_closure: 5 }, 'heartbeat.current_closure: expected string'],
    [
      { current_closure: 'x'.repeat(513) },
      'heartbeat.current_closure: too long; send 512 characters at most',
    ],
    [{ uptime_secs: 'long' }, 'heartbeat.uptime_secs: expected number'],
    [
      { rollout_id: 'Stable' },
      'heartbeat.rollout_id: does not match. Expected: Rollout id, `{channel}@{channelRef}`.',
    ],
    [
      { last_event_seq_by_rollout: { Stable: 1 } },
      'heartbeat.last_event_seq_by_rollout.Stable: this key does not belong here; leave it out',
    ],
    [
      { last_event_seq_by_rollout: { 'stable@1': 'one' } },
      'heartbeat.last_event_seq_by_rollout["stable@1"]: expected integer',
    ],
    [
      { last_event_seq_by_rollout: manyRollouts },
      'heartbeat.last_event_seq_by_rollout: too many entries; send the latest 256 at most',
    ],
    [
      { at: '9999-01-01T00:00:00Z' },
      'heartbeat.at is no RFC 3339 instant of the years 1 to 9998; send one such as 2026-05-16T01:27:01.000Z',
    ],
  ])('says what is wrong with an odd part: %j', (part, said) => {
    expect(complaint(part)).toBe(said);
  });
});
