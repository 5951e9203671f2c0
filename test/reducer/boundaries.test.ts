/**
 * Where one thing ends and the next begins, to the instant: minutes that just are not over, shares that are rounded, who
 * is asked first. The scenarios show what happens on either side; here it is the edge itself.
 */
import { describe, expect, it } from 'vitest';
import type { ManifestContent } from '../../src/reducer/content.ts';
import type { Input } from '../../src/reducer/input.ts';
import { limitOf } from '../../src/reducer/planner/limit.ts';
import { selectorKey } from '../../src/reducer/planner/pin.ts';
import { replayFrom } from '../../src/reducer/read/heartbeat.ts';
import { reduce } from '../../src/reducer/reduce.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { emptyState } from '../../src/reducer/state/state.ts';
import type { RecordRow } from '../../src/reducer/state/rows.ts';
import { MINUTE, millisOf, timeOf, UNDER_WAY_MS } from '../../src/reducer/time.ts';
import { EPOCH } from './support/fleet-spec.ts';
import { ScriptFleet } from './support/script-fleet.ts';
import { Script } from './support/script.ts';

const SECOND = 1_000;

function played(...lines: readonly string[]): Script {
  const script = new Script();
  for (const line of lines) script.run(line);
  return script;
}

const gatesOf = ({ state }: Script, host: string, id = 'a@1') =>
  state.rollouts.get(id)?.blockers.get(host)?.gates ?? [];

function recordOf({ state }: Script, host: string, id = 'a@1'): RecordRow {
  const record = state.rollouts.get(id)?.records.get(host);
  if (record === undefined) throw new Error(`${host} has no record in ${id}`);
  return record;
}

/** A tick that comes at this very instant. */
function tickAt(script: Script, now: number): void {
  script.now = now;
  script.feed({ kind: 'Tick' });
}

describe('a share of hosts', () => {
  const hosts = ['a', 'b', 'c'];
  it.each([
    [1, 1],
    [33, 1],
    [66, 1],
    [67, 2],
    [99, 2],
    [100, 3],
  ])('of %i %% of three is %i', (maxInFlightPct, limit) => {
    expect(limitOf({ hosts, maxInFlight: null, maxInFlightPct })).toBe(limit);
    expect(limitOf({ hosts, maxInFlight: 1, maxInFlightPct })).toBe(1);
    expect(limitOf({ hosts, maxInFlight: 5, maxInFlightPct })).toBe(limit);
  });

  it('and its selector is the same in whatever order it is written', () => {
    const selector = { tags: ['x', 'y'], tagsAny: ['u', 'v'], hosts: ['a', 'b'] };
    const turned = { tags: ['y', 'x'], tagsAny: ['v', 'u'], hosts: ['b', 'a'] };
    const rest = { channel: null, all: false };
    expect(selectorKey({ ...turned, ...rest })).toBe(selectorKey({ ...selector, ...rest }));
  });
});

describe('how many may fail', () => {
  const allowed = (own: number | null, policy: number | null): number | undefined => {
    const fleet = new ScriptFleet();
    fleet.declare('channel', ['a', ...(policy === null ? [] : [`max-failures=${String(policy)}`])]);
    fleet.declare('wave', ['a', 'a1']);
    const content = fleet.content('1', new Map(), EPOCH);
    const manifests = content.manifests.map((one): ManifestContent => ({
      ...one,
      maxFailures: own,
    }));
    const state = emptyState();
    reduce(state, { kind: 'ManifestSetUpdated', fleet: content.fleet, manifests }, EPOCH);
    return state.rollouts.get('a@1')?.row.plan.maxFailures;
  };

  it('the manifest says first, then the policy', () => {
    expect(allowed(2, 5)).toBe(2);
    expect(allowed(0, 5)).toBe(0);
    expect(allowed(null, 5)).toBe(5);
    expect(allowed(null, null)).toBe(0);
  });
});

it('a manifest is good for a minute more than its window, and no longer', () => {
  const script = played('channel a window=30', 'wave a soak=0 a1', 'heartbeat * c0', 'declare 1');
  script.run('operator hold a1');
  const signedAt = Date.parse(script.state.rollouts.get('a@1')?.row.signedAt ?? '');
  tickAt(script, signedAt + 31 * MINUTE - SECOND);
  expect(gatesOf(script, 'a1')).not.toContain('manifest-stale');
  tickAt(script, signedAt + 31 * MINUTE);
  expect(gatesOf(script, 'a1')).toContain('manifest-stale');
});

it('an absent host settles nothing until its grace is over', () => {
  const script = played('channel a', 'wave a soak=0 a1 a2', 'wave a soak=0 a3');
  for (const host of ['a1', 'a3']) script.run(`heartbeat ${host} c0`);
  for (const line of ['declare 1', 'event a1 ack', 'event a1 completed', 'event a1 converged'])
    script.run(line);
  const opened = Date.parse(script.state.rollouts.get('a@1')?.row.openedAt ?? '');
  const grace = script.state.settings.offlineGraceMinutes * MINUTE;
  const wave = () => script.state.rollouts.get('a@1')?.row.currentWave;
  tickAt(script, opened + grace);
  expect(wave()).toBe(0);
  tickAt(script, opened + grace + SECOND);
  expect(wave()).toBe(1);
});

it('a dispatch that was offered is taken back when its grace is over, and not before', () => {
  const script = played('channel a', 'wave a a1 a2', 'heartbeat * c0', 'declare 1', 'offer a1');
  script.run('heartbeat a1 c0');
  const heard = script.now;
  const grace = script.state.settings.deliveredGraceMinutes * MINUTE;
  script.run('operator pause a');
  const isGranted = () => script.state.rollouts.get('a@1')?.dispatches.has('a1');
  tickAt(script, heard + grace);
  expect(isGranted()).toBe(true);
  tickAt(script, heard + grace + 1);
  expect(isGranted()).toBe(false);
});

describe('a grace shorter than the time after which silence is a refusal', () => {
  const GRACE = 2;

  /** a1 was offered its dispatch and fell silent; how long after it was last heard it has it still, in minutes. */
  const given = (minutes: number, ...then: readonly string[]) => {
    const script = new Script();
    script.state = emptyState({
      ...DEFAULT_SETTINGS,
      ...{ deliveredGraceMinutes: GRACE, heartbeatSeconds: 20 },
    });
    for (const line of ['channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1', 'offer a1'])
      script.run(line);
    const heard = script.now;
    for (const line of ['silent a1', ...then]) script.run(line);
    tickAt(script, heard + minutes * MINUTE);
    return script.state.rollouts.get('a@1')?.dispatches.has('a1');
  };

  it.each([['as it is'], ['suspended', 'operator pause']])('is kept to, %s', (_, ...then) => {
    expect(given(GRACE, ...then)).toBe(true);
    expect(given(GRACE + 0.1, ...then)).toBe(false);
  });
});

it('who was cleared is counted among the exceptions', () => {
  const script = played(
    ...['channel a', 'wave a soak=0 a1 a2', 'heartbeat * c0', 'declare 1'],
    ...['event a1 ack', 'event a1 activation-failed', 'operator clear a@1'],
    ...['event a2 ack', 'event a2 completed', 'event a2 converged'],
  );
  expect(script.state.rollouts.get('a@1')?.row).toMatchObject({
    state: 'Terminal',
    exceptions: { cleared: 1 },
  });
});

it('a silence that was noticed before the host came back is none', () => {
  const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1');
  const back = Date.parse(script.state.hosts.get('a1')?.row.reachabilityAt ?? '');
  const lost = (observedAt: number) => {
    const input = {
      observedAt: timeOf(observedAt),
      hosts: [{ hostname: 'a1', lastHeardAt: null }],
    };
    reduce(script.state, { kind: 'HostsUnreachable', ...input }, script.now);
    return script.state.hosts.get('a1')?.row.reachability;
  };
  expect(lost(back - 1)).toBe('reachable');
  expect(lost(back)).toBe('unreachable');
});

describe('a move whose host is heard and says nothing of it', () => {
  it('is stuck when its grace is over, and not before', () => {
    const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1', 'event a1 ack');
    const due = millisOf(recordOf(script, 'a1').soakDueAt ?? '');
    const grace = script.state.settings.moveGraceMinutes * MINUTE;
    script.now = due;
    script.run('heartbeat a1 c0');
    tickAt(script, due + grace - 1);
    expect(recordOf(script, 'a1').stuck).toBe(false);
    tickAt(script, due + grace);
    expect(recordOf(script, 'a1').stuck).toBe(true);
  });
});

describe('the soak that the control plane gives', () => {
  /** The soak of a host that is seen on its target for the second time `ms` after its first soak was due. */
  const soakSeen = (ms: number) => {
    const script = played('channel a', 'wave a soak=5 a1', 'heartbeat a1 c0', 'declare 1');
    for (const line of ['event a1 ack', 'heartbeat a1 c1']) script.run(line);
    const due = millisOf(recordOf(script, 'a1').soakDueAt ?? '');
    script.now = due + ms - SECOND;
    script.run('heartbeat a1 c1');
    return millisOf(recordOf(script, 'a1').soakDueAt ?? '') - due;
  };

  it('stays while it is not due, and one that is due by now is given anew', () => {
    expect(soakSeen(-1)).toBe(0);
    expect(soakSeen(0)).toBe(5 * MINUTE);
  });

  /** Whether it holds a host that acknowledges `ms` after its dispatch. */
  const isKept = (ms: number, ...before: readonly string[]) => {
    const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1', ...before);
    const receivedAt = timeOf(millisOf(recordOf(script, 'a1').dispatchedAt ?? '') + ms);
    script.feed({
      ...{ kind: 'AgentEvent', hostname: 'a1', rolloutId: 'a@1' },
      event: { kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'c0', receivedAt },
    });
    return recordOf(script, 'a1').soakDueAt !== null;
  };

  it('is not of an acknowledgement from before the dispatch', () => {
    expect(isKept(-1)).toBe(false);
    expect(isKept(0)).toBe(true);
  });

  it('nor, where an earlier dispatch had been offered, of one that may have been under way', () => {
    const offeredBefore = ['offer a1', 'operator withdraw a1'];
    expect(isKept(UNDER_WAY_MS - 1, ...offeredBefore)).toBe(false);
    expect(isKept(UNDER_WAY_MS, ...offeredBefore)).toBe(true);
  });
});

it.each([
  [-UNDER_WAY_MS, 'c9'],
  [-UNDER_WAY_MS + 1, null],
  [-1, null],
  [0, 'c9'],
])('a heartbeat of %i ms after the switch that reports another closure', (ms, contradictedBy) => {
  const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1');
  for (const line of ['event a1 ack', 'event a1 completed']) script.run(line);
  const completed = millisOf(recordOf(script, 'a1').activationCompletedAt ?? '');
  script.feed({
    ...{ kind: 'HostReport', hostname: 'a1', at: timeOf(completed + ms), agentVersion: null },
    ...{ rolloutId: null, currentClosure: 'c9', lastEventSeqByRollout: {} },
  });
  expect(recordOf(script, 'a1').contradictedBy).toBe(contradictedBy);
});

it('a probe that was declared and never reported is silent from five minutes after the soak on', () => {
  const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1');
  for (const line of ['event a1 ack', 'event a1 completed', 'event a1 topology nginx'])
    script.run(line);
  const due = millisOf(recordOf(script, 'a1').soakDueAt ?? '') + 5 * MINUTE;
  tickAt(script, due - 1);
  expect(gatesOf(script, 'a1')).toEqual([]);
  tickAt(script, due);
  expect(gatesOf(script, 'a1')).toEqual(['probe-silent', 'soak-overdue']);
});

it('what was signed at the very instant before which signatures are rejected is good', () => {
  const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1');
  script.run('operator hold a1');
  const { signedAt } = script.state.fleet;
  expect(script.state.rollouts.get('a@1')?.row.signedAt).toBe(signedAt);
  script.feed({ kind: 'TrustChanged', rejectBefore: signedAt });
  expect(gatesOf(script, 'a1')).toEqual(['host-hold']);
  script.feed({ kind: 'TrustChanged', rejectBefore: timeOf(millisOf(signedAt ?? '') + 1) });
  expect(gatesOf(script, 'a1')).toEqual(['host-hold', 'manifest-rejected']);
});

it('who is found unchanged converged at that instant, on its target', () => {
  const script = played('channel a', 'wave a soak=0 a1', 'heartbeat a1 c0', 'declare 1');
  for (const line of [
    'event a1 ack',
    'event a1 completed',
    'event a1 converged',
    'heartbeat a1 c1',
  ])
    script.run(line);
  script.run('declare 2 a1=c1');
  expect(recordOf(script, 'a1', 'a@2')).toMatchObject({
    ...{ state: 'Converged', unchanged: true },
    ...{ convergedAt: timeOf(script.now), currentClosure: 'c1' },
  });
});

describe('a Converged that was refused for what the host had reported', () => {
  const refused = (): Script =>
    played(
      'channel a',
      'wave a soak=0 h1',
      'heartbeat h1 c0',
      'declare 1',
      'event h1 ack',
      'event h1 completed',
      'heartbeat h1 c7',
      'event h1 converged',
    );
  const stated = { 'a@1': 3 };

  it('is asked for again once the host reports its target, and not before', () => {
    const script = refused();
    expect(recordOf(script, 'h1').highestRefusedSeq).toBe(3);
    expect(askedFrom(script, stated)).toBe(null);
    script.run('heartbeat h1 c1');
    expect(askedFrom(script, stated)).toBe(2);
    script.run('event h1 converged');
    expect(recordOf(script, 'h1').state).toBe('Converged');
    expect(askedFrom(script, stated)).toBe(null);
  });

  it('is asked for once: refused again for another contradiction, it is refused, and told', () => {
    const script = refused();
    script.run('heartbeat h1 c1');
    script.run('heartbeat h1 c7');
    const rows = script.state.headSeq;
    script.run('event h1 converged');
    expect(script.state.headSeq).toBe(rows + 1);
    expect(recordOf(script, 'h1').highestRefusedSeq).toBe(3);
    expect(askedFrom(script, stated)).toBe(null);
  });

  it('stays refused where the host said something else since', () => {
    const script = refused();
    script.run('event h1 completed seq=4');
    script.run('heartbeat h1 c1');
    expect(recordOf(script, 'h1').highestRefusedSeq).toBe(4);
  });
});

/** From which seq h1's next heartbeat would make its agent post again. */
function askedFrom(script: Script, lastEventSeqByRollout: Record<string, number>): number | null {
  const record = { ...recordOf(script, 'h1'), rolloutState: 'Active' as const, newest: true };
  const host = { reachability: 'reachable' as const, reportedClosure: null, records: [record] };
  const currentClosure = record.currentClosure;
  return replayFrom(host, { rolloutId: 'a@1', currentClosure, lastEventSeqByRollout }, []).from;
}

describe('where a fleet and its manifest were signed at different times', () => {
  const AGE = 20 * MINUTE;

  /** a1 was never heard; the signature of one of the two is older. */
  const declared = (older: 'fleet' | 'manifest') => {
    const script = new ScriptFleet();
    script.declare('channel', ['a', 'window=30']);
    script.declare('wave', ['a', 'a1']);
    const { fleet, manifests } = script.content('1', new Map(), EPOCH);
    const signedAt = timeOf(EPOCH - AGE);
    const state = emptyState();
    const input: Input = {
      kind: 'ManifestSetUpdated',
      fleet: older === 'fleet' ? { ...fleet, signedAt } : fleet,
      manifests: older === 'fleet' ? manifests : manifests.map((one) => ({ ...one, signedAt })),
    };
    reduce(state, input, EPOCH);
    return (next: Input, now: number) => {
      reduce(state, next, now);
      return state.rollouts.get('a@1')?.blockers.get('a1')?.gates;
    };
  };

  it.each(['fleet', 'manifest'] as const)('the older counts: the %s', (older) => {
    const gatesAfter = declared(older);
    const due = EPOCH - AGE + 31 * MINUTE;
    expect(gatesAfter({ kind: 'Tick' }, due - SECOND)).toEqual(['host-unreachable']);
    expect(gatesAfter({ kind: 'Tick' }, due)).toEqual(['host-unreachable', 'manifest-stale']);
    const rejecting: Input = { kind: 'TrustChanged', rejectBefore: timeOf(EPOCH - AGE + 1) };
    expect(gatesAfter(rejecting, due)).toContain('manifest-rejected');
  });
});

it('a wave is left at the instant its soak is over', () => {
  const script = played(
    'channel a',
    'wave a soak=5 a1',
    'wave a a2',
    'heartbeat * c0',
    'declare 1',
  );
  for (const line of ['event a1 ack', 'event a1 completed']) script.run(line);
  const applied = millisOf(recordOf(script, 'a1').completedAppliedAt ?? '');
  script.run('event a1 converged');
  const wave = () => script.state.rollouts.get('a@1')?.row.currentWave;
  tickAt(script, applied + 5 * MINUTE - 1);
  expect(wave()).toBe(0);
  tickAt(script, applied + 5 * MINUTE);
  expect(wave()).toBe(1);
});

it('a dispatch counts as refused at the instant its time is over', () => {
  const script = played('channel a', 'wave a a1', 'heartbeat a1 c0', 'declare 1', 'offer a1');
  const offered = script.now;
  script.run('heartbeat a1 c0');
  const after = script.state.settings.refusedAfterMinutes * MINUTE;
  tickAt(script, offered + after - 1);
  expect(gatesOf(script, 'a1')).toEqual([]);
  tickAt(script, offered + after);
  expect(gatesOf(script, 'a1')).toEqual(['dispatch-refused']);
});
