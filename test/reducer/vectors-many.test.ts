/** Recorded plans of many hosts: compared whatever their number, and wrong ones among them are still found. */
import { describe, expect, it } from 'vitest';
import { compareLine } from '../../src/cli/vectors/compare.ts';
import { anyOrder } from '../../src/cli/vectors/planner-orders.ts';
import { Report } from '../../src/cli/vectors/report.ts';
import type { PlannerLine } from '../../src/cli/vectors/shapes.ts';

const NOW = '2026-05-18T18:15:30Z';
const DISPATCH = 'QueueDispatch';
const HELD = 'DeferDispatch:disruption-budget';

/** A budget of every rollout, over the hosts whose position in theirs it takes. */
interface Limited {
  readonly slots: number;
  readonly takes: (position: number) => boolean;
}

type Recorded = Pick<
  PlannerLine,
  'orderDependent' | 'actions' | 'varying' | 'dispatchCount' | 'dispatchedPerBudget'
>;
const NOTHING: Recorded = { orderDependent: false, actions: [] };

const everybody = (slots: number): Limited => ({ slots, takes: () => true });

/** So many rollouts of so many hosts, all of which may go. */
function situation(rollouts: number, count: number, limits: readonly Limited[]): PlannerLine {
  const channels = Array.from({ length: rollouts }, (_, i) => `c${String(i).padStart(2, '0')}`);
  const namesOf = (channel: string) =>
    Array.from({ length: count }, (_, i) => `${channel}-${String(i)}`);
  const entries = <T>(made: (channel: string) => T) =>
    Object.fromEntries(channels.map((channel) => [channel, made(channel)]));
  const budgets = limits.map(({ slots, takes }, i) => ({
    selector: { tags: [`t${String(i)}`], tagsAny: [], hosts: [], channel: null, all: false },
    hosts: channels.flatMap((channel) => namesOf(channel).filter((_, position) => takes(position))),
    maxInFlight: slots,
  }));
  const hostsOf = (channel: string) => namesOf(channel).map((name) => [name, { channel }] as const);
  return {
    ...{ id: 'many', now: NOW, tags: [], quarantines: {}, outstandingEnforceFailures: {} },
    fleet: {
      hosts: Object.fromEntries(channels.flatMap(hostsOf)),
      channels: entries(() => ({ rolloutPolicy: 'p', freshnessWindow: 1440 })),
      rolloutPolicies: { p: { waves: [], onHealthFailure: 'halt' } },
      ...{ waves: {}, edges: [], channelEdges: [] },
    },
    manifests: entries((channel) => ({
      ...{ channel, channelRef: 'r1', displayName: 'r1', disruptionBudgets: budgets },
      hostSet: namesOf(channel).map((hostname) => ({
        hostname,
        waveIndex: 0,
        targetClosure: 'c1',
      })),
    })),
    rollouts: channels.map((channel) => ({
      ...{ rolloutId: `${channel}@r1`, channel, targetRef: 'r1', currentWave: 0, openedAt: NOW },
      budgets,
    })),
    hosts: channels.flatMap((channel) =>
      namesOf(channel).map((hostname) => ({
        ...{ rolloutId: `${channel}@r1`, hostname, state: 'Pending' as const, targetClosure: 'c1' },
      })),
    ),
    ...NOTHING,
  };
}

/** As it is recorded when everybody goes. */
function allGo(line: PlannerLine): PlannerLine {
  const actions = line.hosts.map(({ rolloutId, hostname, targetClosure }) => ({
    ...{ action: 'QueueDispatch' as const, rolloutId, host: hostname },
    ...{ targetClosure, soakDueAt: NOW },
  }));
  return { ...line, actions };
}

/** As it is recorded when anybody may go, and anybody be refused. */
function anyGoes(line: PlannerLine, min: number, max: number): PlannerLine {
  const varying = line.hosts.map(({ rolloutId, hostname }) => ({
    ...{ rolloutId, host: hostname, outcomes: [HELD, DISPATCH] },
  }));
  const dispatchedPerBudget = (line.rollouts[0]?.budgets ?? []).map(
    ({ selector, maxInFlight }) => ({
      ...{ selector, min: maxInFlight ?? 0, max: maxInFlight ?? 0 },
    }),
  );
  return {
    ...line,
    orderDependent: true,
    varying,
    dispatchCount: { min, max },
    dispatchedPerBudget,
  };
}

function compared(line: PlannerLine) {
  const report = new Report();
  compareLine('many', JSON.stringify(line), report);
  return report.summary();
}

/** All hosts, the rollouts that open (none), and one for each number that is recorded. */
function expectWhole(line: PlannerLine) {
  const { compared: n, unexplained, firstUnexplained } = compared(line);
  expect(firstUnexplained).toBeUndefined();
  expect(unexplained).toBe(0);
  const numbers = (line.dispatchCount == null ? 0 : 1) + (line.dispatchedPerBudget?.length ?? 0);
  expect(n).toBe(1 + line.hosts.length + numbers);
}

const SIZES = [10, 11, 50, 500];

describe.each(SIZES)('%i free hosts', (count) => {
  const first = ([one, ...rest]: PlannerLine['actions']) => ({ one, rest });

  it('under no budget, or one that cannot be filled, all go', () => {
    for (const limits of [[], [everybody(2 * count + 1)]]) {
      const line = allGo(situation(2, count, limits));
      expectWhole(line);
      expect(compared({ ...line, actions: first(line.actions).rest }).unexplained).toBe(1);
    }
  });

  it('under one budget, of one rollout or of two', () => {
    for (const rollouts of [1, 2]) {
      const slots = Math.floor(count / 2);
      const line = anyGoes(situation(rollouts, count, [everybody(slots)]), slots, slots);
      expectWhole(line);
      expectNoticed(line);
    }
  });

  it('under two budgets that overlap', () => {
    const takes = (rest: number) => (position: number) => position % 3 !== rest;
    const limits = [1, 2].map((rest) => ({ slots: 3, takes: takes(rest) }));
    const line = anyGoes(situation(1, count, limits), 3, 6);
    expectWhole(line);
    expectNoticed(line);
  });
});

function expectNoticed(line: PlannerLine): void {
  const { dispatchCount, dispatchedPerBudget = [], varying = [] } = line;
  const { min = 0, max = 0 } = dispatchCount ?? {};
  const [host, ...others] = varying;
  const [budget, ...budgets] = dispatchedPerBudget;
  if (host === undefined || budget === undefined) throw new Error('nothing is recorded');
  const wrong: readonly Partial<Recorded>[] = [
    { dispatchCount: { min, max: max + 1 } },
    { dispatchCount: { min: min - 1, max } },
    { dispatchedPerBudget: [{ ...budget, max: budget.max + 1 }, ...budgets] },
    { dispatchedPerBudget: [{ ...budget, min: budget.min - 1 }, ...budgets] },
    { varying: [{ ...host, outcomes: [DISPATCH] }, ...others] },
    { varying: [{ ...host, outcomes: [HELD] }, ...others] },
    { varying: others },
  ];
  for (const change of wrong) {
    expect({ change, n: compared({ ...line, ...change }).unexplained }).toEqual({ change, n: 1 });
  }
}

it('many rollouts under one budget, and under none', () => {
  expectWhole(anyGoes(situation(10, 5, [everybody(3)]), 3, 3));
  expectWhole(allGo(situation(60, 2, [])));
});

/** Seven overlaps of three budgets. */
const overlapping = (slots: number) =>
  [0, 1, 2].map((bit) => ({
    ...{ slots, takes: (position: number) => ((1 + (position % 7)) >> bit) % 2 === 1 },
  }));

it('three budgets that overlap in every way', () => {
  expectWhole(anyGoes(situation(1, 70, overlapping(5)), 5, 15));
});

it('does not try more ways than it says, of which recorded situations have a few', () => {
  const line = situation(1, 70, overlapping(9));
  const tried = (most: number) => () => anyOrder(line, line.hosts, [], most);
  expect(tried(100)).toThrow('not compared: its budgets can be filled in over 100 ways');
  expect(tried(20_000)).not.toThrow();
});
