/** When the leader asks to be ticked: at the end of a soak, and not again for the same one. */
import { describe, expect, it } from 'vitest';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { nextDueAt } from '../../src/reducer/reduce.ts';
import { MINUTE, timeOf } from '../../src/reducer/time.ts';
import { Desk } from './support/desk.ts';
import { contentOf, EPOCH, type FleetSpec } from './support/fleet-spec.ts';

const SPEC: FleetSpec = {
  channels: [
    {
      ...{
        name: 'a',
        waves: [0, 0, 1],
        unstagedLast: false,
        declaresWaves: true,
        soaks: [5, 5, 5],
      },
      ...{ rollback: false, finishFirst: false, maxFailures: 0, window: 1440 },
      ...{ maxInFlight: null, maxInFlightPct: null, sharedLimit: null },
    },
  ],
  edges: [],
  channelEdge: false,
  leaving: false,
};

/** By its own clock, which is ahead, a0 is through already; a1, of the same wave, has yet to move. */
function soaking(): Desk {
  const desk = new Desk(EPOCH);
  desk.feed({ kind: 'ManifestSetUpdated', ...contentOf(SPEC, 0, EPOCH) });
  for (const hostname of ['a0', 'a1']) {
    desk.feed({
      ...{ kind: 'HostReport', hostname, at: timeOf(EPOCH), currentClosure: 'before' },
      ...{ rolloutId: null, agentVersion: null, lastEventSeqByRollout: {} },
    });
  }
  const [record] = desk.records('a0');
  if (record === undefined) throw new Error('a0 has no record');
  const { rolloutId, hostname, targetClosure } = record;
  const at = timeOf(EPOCH);
  const events: readonly HostEvent[] = [
    { kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'before', receivedAt: at },
    {
      ...{ kind: 'ActivationCompleted', seq: 2, observedCurrentClosure: targetClosure },
      ...{ exitCode: 0, completedAt: at },
    },
    {
      ...{ kind: 'Converged', seq: 3, convergedAt: timeOf(EPOCH + 5 * MINUTE) },
      currentClosure: targetClosure,
    },
  ];
  for (const event of events) desk.feed({ kind: 'AgentEvent', hostname, rolloutId, event });
  return desk;
}

describe('the next instant at which a Tick may change anything', () => {
  it('is the end of the soak', () => {
    expect(nextDueAt(soaking().state, EPOCH)).toBe(EPOCH + 5 * MINUTE);
  });

  it('is not asked for again once a Tick came after it, though the wave still waits', () => {
    const desk = soaking();
    desk.now = EPOCH + 5 * MINUTE;
    expect(desk.feed({ kind: 'Tick' }).entries).toEqual([]);
    expect(nextDueAt(desk.state, desk.now)).toBeNull();
  });

  it('is still asked for when something else was logged after it', () => {
    const desk = soaking();
    desk.now = EPOCH + 6 * MINUTE;
    desk.feed({ kind: 'TrustChanged', rejectBefore: timeOf(EPOCH - MINUTE) });
    expect(nextDueAt(desk.state, EPOCH)).toBe(EPOCH + 5 * MINUTE);
  });
});
