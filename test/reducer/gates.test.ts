/** Each gate alone: what makes it hold one host, the key it answers with, and what `explain` says behind it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FleetContent, ManifestContent } from '../../src/reducer/content.ts';
import type { Input } from '../../src/reducer/input.ts';
import { everyGate, explain, gatesHolding, heldAt } from '../../src/reducer/planner/gates.ts';
import { reduce } from '../../src/reducer/reduce.ts';
import { applyChange } from '../../src/reducer/state/apply.ts';
import type { Change } from '../../src/reducer/state/change.ts';
import { emptyState, type FleetState } from '../../src/reducer/state/state.ts';
import { timeOf } from '../../src/reducer/time.ts';

const NOW = Date.parse('2026-11-01T12:00:00.000Z');
const AT = timeOf(NOW);
const ID = 'stable@abc';
const HOST = 'h3';
const NAMES = ['h1', 'h2', 'h3'];
const STOP = { actor: 'ada', reason: 'lunch', at: AT };
const SELECTOR = { tags: ['web'], tagsAny: [], hosts: [], channel: null, all: false };

const fleet: FleetContent = {
  hash: 'f',
  signedAt: AT,
  ref: 'abc',
  hosts: new Map(NAMES.map((name) => [name, { channel: 'stable', closureHash: 'new' }])),
  channels: new Map([
    ['stable', { rolloutPolicy: 'p', freshnessWindow: 600 }],
    ['edge', { rolloutPolicy: 'p', freshnessWindow: 600 }],
  ]),
  policies: new Map([
    [
      'p',
      {
        waves: [{ soakMinutes: 0 }],
        onHealthFailure: 'halt',
        onNewRef: 'supersede',
        maxFailures: null,
      },
    ],
  ]),
  waves: new Map([['stable', [{ hosts: NAMES, soakMinutes: 0 }]]]),
  edges: [],
  channelEdges: [],
};

/** Of the budget; h1 and h2 take two. */
let slots = 3;

const manifest: ManifestContent = {
  rolloutId: ID,
  hash: 'm',
  displayName: ID,
  channel: 'stable',
  channelRef: 'abc',
  signedAt: AT,
  hostSet: NAMES.map((hostname) => ({ hostname, waveIndex: 0, targetClosure: 'new' })),
  maxFailures: null,
  get budgets() {
    return [{ selector: SELECTOR, hosts: NAMES, maxInFlight: slots, maxInFlightPct: null }];
  },
};

const report = (hostname: string): Input => ({
  kind: 'HostReport',
  hostname,
  at: AT,
  currentClosure: 'old',
  rolloutId: null,
  agentVersion: null,
  lastEventSeqByRollout: {},
});

/** One rollout whose hosts h1 and h2 are there; h3 is not yet, so nothing was granted to it. */
function world(content: Partial<FleetContent> = {}, of: Partial<ManifestContent> = {}): FleetState {
  const state = emptyState();
  const manifests = [{ ...manifest, ...of }];
  reduce(state, { kind: 'ManifestSetUpdated', fleet: { ...fleet, ...content }, manifests }, NOW);
  for (const name of ['h1', 'h2']) reduce(state, report(name), NOW);
  return state;
}

/** h3 is there, without the planner having been asked. */
function present(state: FleetState, ...changes: Change[]): FleetState {
  const there = { reachability: 'reachable', reachabilityAt: AT, reportedClosure: 'old' } as const;
  for (const change of [{ t: 'host' as const, hostname: HOST, set: there }, ...changes]) {
    applyChange(state, change, state.headSeq);
  }
  return state;
}

const record = (hostname: string, set: Extract<Change, { t: 'record' }>['set']): Change => ({
  t: 'record',
  rolloutId: ID,
  hostname,
  set,
});

const otherBudget = [{ selector: SELECTOR, hosts: NAMES, maxInFlight: 2, maxInFlightPct: null }];
const elsewhere = { ...manifest, rolloutId: 'edge@abc', channel: 'edge', hash: 'e' };

const CASES: readonly [gate: string, state: () => FleetState, key: string, because: RegExp][] = [
  [
    'rollout-halted',
    () => present(world(), { t: 'rollout', rolloutId: ID, set: { state: 'Failed' } }),
    'rollout-halted',
    /is Failed/,
  ],
  [
    'paused (channel)',
    () => present(world(), { t: 'channel', channel: 'stable', set: { pause: STOP } }),
    'paused:channel',
    /ada paused channel stable/,
  ],
  [
    'paused (fleet)',
    () => present(world(), { t: 'fleet', set: { pause: STOP } }),
    'paused:fleet',
    /ada paused the fleet .*lunch/,
  ],
  [
    'host-hold',
    () => present(world(), { t: 'host', hostname: HOST, set: { hold: STOP } }),
    'host-hold',
    /ada held it/,
  ],
  ['host-unreachable', () => world(), 'host-unreachable', /never heard/],
  [
    'host-busy',
    () => {
      const state = present(world());
      reduce(
        state,
        { kind: 'ManifestSetUpdated', fleet: { ...fleet, hash: 'f2' }, manifests: [manifest] },
        NOW,
      );
      const plan = state.rollouts.get(ID)?.row.plan;
      if (plan === undefined) throw new Error('the rollout did not open');
      const id = 'edge@abc';
      const { channelRef, displayName, signedAt } = elsewhere;
      const set = { channel: 'edge', channelRef, displayName, manifestHash: 'e', signedAt, plan };
      applyChange(
        state,
        { t: 'rollout', rolloutId: id, set: { ...set, ordinal: 9, openedAt: AT } },
        9,
      );
      applyChange(
        state,
        { t: 'records', rolloutId: id, channel: 'edge', hosts: [[HOST, 0, 'x']] },
        9,
      );
      applyChange(
        state,
        { t: 'record', rolloutId: id, hostname: HOST, set: { state: 'Activating' } },
        9,
      );
      return state;
    },
    'host-busy',
    /edge@abc \(Activating\)/,
  ],
  [
    'manifest-stale',
    () =>
      present(world(), { t: 'rollout', rolloutId: ID, set: { signedAt: timeOf(NOW - 3_700_000) } }),
    'manifest-stale',
    /good for 60 minutes/,
  ],
  [
    'manifest-rejected',
    () => present(world(), { t: 'fleet', set: { rejectBefore: timeOf(NOW + 1) } }),
    'manifest-rejected',
    /trust file rejects/,
  ],
  [
    'quarantine',
    () =>
      present(world(), {
        t: 'quarantine',
        channel: 'stable',
        closure: 'new',
        set: { rolloutId: ID, hostname: 'h1', at: AT },
      }),
    'quarantine',
    /rolled back on h1/,
  ],
  [
    'channel-edges',
    () =>
      present(world({ channelEdges: [{ gated: 'stable', gates: 'edge' }] }), {
        t: 'channel',
        channel: 'edge',
        set: { declaredRef: 'abc', manifestHash: 'e' },
      }),
    'channel-edges:edge',
    /edge@abc is not opened/,
  ],
  [
    'wave-promotion',
    () => present(world(), record(HOST, { wave: 1 })),
    'wave-promotion:1',
    /wave 0 has 0 of \d hosts converged/,
  ],
  [
    'wave-promotion-host-unstaged',
    () =>
      present(world({ waves: new Map([['stable', [{ hosts: ['h1', 'h2'], soakMinutes: 0 }]]]) })),
    'wave-promotion-host-unstaged',
    /in none of them/,
  ],
  [
    'host-edge',
    () => present(world({ edges: [{ gated: HOST, gates: 'h1' }] })),
    'host-edge:h1',
    /h1 is Pending/,
  ],
  [
    'compliance-wave',
    () =>
      present(
        world(),
        record('h1', { state: 'Soaking' }),
        {
          t: 'probeFailure',
          rolloutId: ID,
          hostname: 'h1',
          probeName: 'nis2',
          controlId: '',
          set: { since: AT },
        },
        { t: 'rollout', rolloutId: ID, set: { currentWave: 1 } },
        record(HOST, { wave: 1 }),
      ),
    'compliance-wave',
    /1 enforced failures/,
  ],
  [
    'disruption-budget',
    () => present(world({}, { budgets: otherBudget })),
    'disruption-budget:0',
    /2 of 2 in flight/,
  ],
];

/** The hosts behind each key; none behind what a person or a signature decides. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  ...{ 'host-hold': [HOST], 'host-unreachable': [HOST], 'host-busy': [HOST] },
  ...{ 'wave-promotion-host-unstaged': [HOST], 'host-edge:h1': ['h1'], quarantine: ['h1'] },
  ...{ 'compliance-wave': ['h1'], 'wave-promotion:1': ['h1', 'h2'] },
  'disruption-budget:0': ['h1', 'h2'],
};

describe('a host is held by', () => {
  it.each(CASES)('%s, and by nothing else', (_gate, make, key, because) => {
    const state = make();
    const held = heldAt(state, ID, HOST, NOW);
    if (held === null) throw new Error('the host has no record');
    expect(gatesHolding(held)).toEqual([key]);
    const explained = explain(state, { rolloutId: ID, hostname: HOST }, key, NOW);
    expect(explained?.because).toMatch(because);
    expect(explained?.hosts).toEqual(HOSTS[key] ?? []);
    expect(explained?.releasedBy).not.toBe('');
  });
});

describe('beside a full budget, each gate', () => {
  beforeAll(() => {
    slots = 2;
  });
  afterAll(() => {
    slots = 3;
  });

  it.each(CASES)('%s', (_gate, make, key) => {
    const held = heldAt(make(), ID, HOST, NOW);
    if (held === null) throw new Error('the host has no record');
    const noted = gatesHolding(held);
    expect(noted).toContain(key);
    expect(everyGate(held, noted)).toEqual([...new Set([key, 'disruption-budget:0'])].sort());
  });
});

it('passes all gates when nothing holds it', () => {
  const held = heldAt(present(world()), ID, HOST, NOW);
  expect(held === null ? null : gatesHolding(held)).toEqual([]);
});

it('has no explanation for keys and hosts that do not exist', () => {
  const state = world();
  expect(explain(state, { rolloutId: ID, hostname: HOST }, 'gravity', NOW)).toBeNull();
  expect(explain(state, { rolloutId: ID, hostname: 'h9' }, 'paused:fleet', NOW)).toBeNull();
});
