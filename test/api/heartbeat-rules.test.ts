/** What a heartbeat deserves, rule by rule: the pure functions that any replica decides with. */
import { describe, expect, it } from 'vitest';
import type { HostState } from '../../src/reducer/host/record.ts';
import {
  bootstrap,
  mayChange,
  replayFrom,
  snapshotSeq,
  type HeardHost,
  type HeardRecord,
  type Report,
  type SnapshotDoubts,
} from '../../src/reducer/read/heartbeat.ts';

const ID = 'stable@a1';
const OTHER = 'stable@b2';

const record = (fields: Partial<HeardRecord> = {}): HeardRecord => ({
  rolloutId: ID,
  hostname: 'web-01',
  channel: 'stable',
  state: 'Soaking',
  targetClosure: 'new',
  currentClosureAtDispatch: 'old',
  currentClosure: 'new',
  dispatchedAt: '2026-05-16T01:00:00.000Z',
  dispatchAckedAt: null,
  activationStartedAt: null,
  activationCompletedAt: null,
  soakDueAt: null,
  lastEventSeq: 3,
  highestRefusedSeq: 0,
  closed: null,
  lastAcceptedAt: '2026-05-16T01:10:00.000Z',
  synthesised: null,
  synthesisedAt: null,
  contradictedBy: null,
  rolloutState: 'Active',
  newest: true,
  ...fields,
});
const host = (records: readonly HeardRecord[], fields: Partial<HeardHost> = {}): HeardHost => ({
  reachability: 'reachable',
  reportedClosure: 'new',
  records,
  ...fields,
});
const report = (fields: Partial<Report> = {}): Report => ({
  rolloutId: null,
  currentClosure: 'new',
  lastEventSeqByRollout: {},
  ...fields,
});
const stating = (seq: number) => report({ lastEventSeqByRollout: { [ID]: seq } });

describe('mayChange', () => {
  it('first contact and contact after silence', () => {
    expect(mayChange(host([], { reachability: 'never' }), report())).toBe(true);
    expect(mayChange(host([], { reachability: 'unreachable' }), report())).toBe(true);
    expect(mayChange(host([]), report())).toBe(false);
  });

  it('a changed closure, but not an unstated one', () => {
    expect(mayChange(host([]), report({ currentClosure: 'other' }))).toBe(true);
    expect(mayChange(host([]), report({ currentClosure: null }))).toBe(false);
  });

  it.each<[HostState, boolean]>([
    ['Pending', true],
    ['Activating', true],
    ['Deferred', true],
    ['Soaking', false],
    ['Converged', false],
    ['Failed', false],
    ['Reverted', false],
  ])('the target reported while %s: %s', (state, changes) => {
    expect(mayChange(host([record({ state })]), report())).toBe(changes);
    expect(mayChange(host([record({ state, closed: 'abandoned' })]), report())).toBe(false);
    expect(mayChange(host([record({ state, rolloutState: 'Pruned' })]), report())).toBe(false);
  });

  it('no recovery of a Pending host in a rollout that ended', () => {
    const ended = record({ state: 'Pending', rolloutState: 'Superseded', dispatchedAt: null });
    expect(mayChange(host([ended]), report())).toBe(false);
    const dispatched = { ...ended, dispatchedAt: '2026-05-16T00:00:00.000Z' };
    expect(mayChange(host([dispatched]), report())).toBe(true);
  });

  it('a contradiction of Soaking is said once, and taken back once', () => {
    const other = host([record()], { reportedClosure: 'other' });
    expect(mayChange(other, report({ currentClosure: 'other' }))).toBe(true);
    const noted = host([record({ contradictedBy: 'other' })], { reportedClosure: 'other' });
    expect(mayChange(noted, report({ currentClosure: 'other' }))).toBe(false);
    expect(mayChange(host([record({ contradictedBy: 'other' })]), report())).toBe(true);
  });
});

describe('replayFrom', () => {
  it('nothing while agent and mirror agree, or the agent is behind', () => {
    expect(replayFrom(host([record()]), stating(3), []).from).toBeNull();
    expect(replayFrom(host([record()]), stating(1), []).from).toBeNull();
    expect(replayFrom(host([record()]), report(), []).from).toBeNull();
  });

  it('from the last applied seq when the agent states more than was ever judged', () => {
    expect(replayFrom(host([record()]), stating(4), []).from).toBe(3);
    const refused = host([record({ highestRefusedSeq: 4 })]);
    expect(replayFrom(refused, stating(4), []).from).toBeNull();
    expect(replayFrom(refused, stating(5), []).from).toBe(3);
  });

  it('once for a gap below a refusal', () => {
    const gap = host([record({ highestRefusedSeq: 7 })]);
    const first = replayFrom(gap, report(), []);
    expect(first.from).toBe(3);
    const second = replayFrom(gap, report(), first.said);
    expect(second).toEqual({ from: null, said: first.said });
    const wider = host([record({ highestRefusedSeq: 9 })]);
    expect(replayFrom(wider, report(), second.said).from).toBe(3);
  });

  it('from the closure only of the rollout that is named', () => {
    const named = report({ rolloutId: ID, currentClosure: 'other' });
    expect(replayFrom(host([record()]), named, []).from).toBe(3);
    expect(replayFrom(host([record()]), report({ currentClosure: 'other' }), []).from).toBeNull();
    expect(replayFrom(host([record({ currentClosure: null })]), named, []).from).toBeNull();
  });

  it('the lowest over all rollouts that drift', () => {
    const both = host([record(), record({ rolloutId: OTHER, lastEventSeq: 1 })]);
    const stated = report({ lastEventSeqByRollout: { [ID]: 9, [OTHER]: 9 } });
    expect(replayFrom(both, stated, []).from).toBe(1);
  });

  it.each([
    ['unknown', []],
    ['closed', [record({ closed: 'abandoned' as const })]],
    ['pruned', [record({ rolloutState: 'Pruned' as const })]],
  ])('nothing of %s rollouts', (_which, records) => {
    expect(replayFrom(host(records), stating(99), []).from).toBeNull();
  });
});

describe('bootstrap', () => {
  const sure: SnapshotDoubts = {
    queued: false,
    missedLately: false,
    shedLately: false,
    restarted: true,
  };
  const given = (records: readonly HeardRecord[], doubts = sure, said = report()) =>
    bootstrap(host(records), said, doubts).map(({ state }) => state);

  it.each<[HostState, boolean]>([
    ['Pending', false],
    ['Activating', true],
    ['Deferred', true],
    ['Soaking', true],
    ['Converged', false],
    ['Failed', false],
    ['Reverted', false],
  ])('an agent that restarted gets back %s: %s', (state, back) => {
    expect(given([record({ state })])).toEqual(back ? [state] : []);
  });

  it('nothing without a reason', () => {
    expect(given([record()], { ...sure, restarted: false })).toEqual([]);
  });

  it.each(['queued', 'missedLately', 'shedLately'] as const)('nothing when %s', (doubt) => {
    expect(given([record()], { ...sure, [doubt]: true })).toEqual([]);
  });

  it('nothing for an agent that names its rollout', () => {
    expect(given([record()], sure, report({ rolloutId: ID }))).toEqual([]);
  });

  it('only of the newest live rollout', () => {
    expect(given([record({ newest: false })])).toEqual([]);
    expect(given([record({ rolloutState: 'Cancelled' })])).toEqual([]);
    expect(given([record({ closed: 'written-off' })])).toEqual([]);
  });

  it('what was synthesised since the last accepted event of the host, of any rollout', () => {
    const calm = { ...sure, restarted: false };
    const synthesised = { synthesised: 'rebooted', synthesisedAt: '2026-05-16T02:00:00.000Z' };
    expect(given([record(synthesised)], calm)).toEqual(['Soaking']);
    const later = { lastAcceptedAt: '2026-05-16T02:00:01.000Z' };
    expect(given([record({ ...synthesised, ...later })], calm)).toEqual([]);
    const elsewhere = record({ rolloutId: OTHER, newest: false, ...later });
    expect(given([record(synthesised), elsewhere], calm)).toEqual([]);
  });

  it('counts on above everything the agent ever used', () => {
    expect(snapshotSeq(record({ highestRefusedSeq: 9 }))).toBe(9);
    expect(snapshotSeq(record())).toBe(3);
  });
});
