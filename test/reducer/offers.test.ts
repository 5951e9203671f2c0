/** Offers and their dispatches: what is known of one is not forgotten, and not believed of another. */
import { describe, expect, it } from 'vitest';
import { decideInput, emptyWork, type Desk as LeaderDesk } from '../../src/leader/work.ts';
import { GENESIS } from '../../src/eventlog/chain.ts';
import type { Input } from '../../src/reducer/input.ts';
import { touched } from '../../src/reducer/state/touched.ts';
import { MINUTE, timeOf } from '../../src/reducer/time.ts';
import { Desk } from './support/desk.ts';
import { contentOf, EPOCH, type FleetSpec } from './support/fleet-spec.ts';

const SPEC: FleetSpec = {
  channels: [
    {
      ...{ name: 'a', waves: [0], unstagedLast: false, declaresWaves: true, soaks: [5, 5, 5] },
      ...{ rollback: false, finishFirst: false, maxFailures: 0, window: 1440 },
      ...{ maxInFlight: null, maxInFlightPct: null, sharedLimit: null },
    },
  ],
  edges: [],
  channelEdge: false,
  leaving: false,
};

const DISPATCH = { rolloutId: 'a@c0ffee00', hostname: 'a0' };
const operator = { kind: 'OperatorCommand', actor: 'op', reason: 'r', expectedSeq: null } as const;
const WITHDRAW: Input = { ...operator, command: { command: 'WithdrawDispatch', hostname: 'a0' } };
const HOLD: Input = { ...operator, command: { command: 'HoldHost', hostname: 'a0' } };

/** a0 is there and was offered its dispatch. */
function offered(): Desk {
  const desk = new Desk(EPOCH);
  desk.feed({ kind: 'ManifestSetUpdated', ...contentOf(SPEC, 0, EPOCH) });
  desk.feed({
    ...{ kind: 'HostReport', hostname: 'a0', at: timeOf(EPOCH), currentClosure: 'before' },
    ...{ rolloutId: null, agentVersion: null, lastEventSeqByRollout: {} },
  });
  desk.offer('a0');
  return desk;
}

describe('a dispatch that its host does not take', () => {
  it('stays remarked on by an input that does not know when the host was heard', () => {
    const desk = offered();
    desk.now += 11 * MINUTE;
    desk.hear('a0');
    desk.feed({ kind: 'Tick' });
    const remarks = () =>
      desk.state.rollouts.get(DISPATCH.rolloutId)?.blockers.get(DISPATCH.hostname)?.gates;
    expect(remarks()).toEqual(['dispatch-refused']);
    desk.feed({ kind: 'ManifestSetUpdated', ...contentOf(SPEC, 0, desk.now) });
    expect(remarks()).toEqual(['dispatch-refused']);
  });
});

describe('a dispatch that is taken back and granted anew', () => {
  it('ends the offers of the old one, though a row is there after the commit', () => {
    const desk = offered();
    const { entries } = desk.feed(WITHDRAW);
    const rows = touched(desk.state, entries);
    expect(rows.dispatches).toMatchObject([DISPATCH]);
    expect(rows.removed.dispatches).toEqual([DISPATCH]);
  });

  it('was never offered for the next input of the same batch either', async () => {
    const at = timeOf(EPOCH);
    const leader: LeaderDesk = {
      ...{
        state: offered().state,
        epoch: 1,
        headHash: GENESIS,
        monotonic: () => 0,
        tickedAt: 0,
        poison: new Map(),
      },
      now: () => EPOCH,
      observe: () =>
        Promise.resolve({
          offers: [{ ...DISPATCH, firstOfferedAt: at, lastOfferedAt: at }],
          heard: [{ hostname: 'a0', at }],
        }),
      contents: () => Promise.reject(new Error('not asked for')),
    };
    const work = emptyWork();
    await decideInput(leader, work, WITHDRAW, 1);
    await decideInput(leader, work, HOLD, 2);
    // Offered, it would keep its slot, suspended.
    expect(leader.state.rollouts.get(DISPATCH.rolloutId)?.dispatches.size).toBe(0);
  });
});

it('of a host that is written off, what it was offered is looked up and logged like any other', () => {
  const command = { command: 'WriteOffHost', hostname: 'a0' } as const;
  const desk = offered();
  const { entries } = desk.feed({ ...operator, command });
  expect(entries[0]?.payload['observed']).toMatchObject({ offers: [DISPATCH] });
});
