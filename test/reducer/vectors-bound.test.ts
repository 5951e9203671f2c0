/** How many sets of grants a recorded plan is tried with: all that can be, and beyond a bound none. */
import { expect, it } from 'vitest';
import { compareLine } from '../../src/cli/vectors/compare.ts';
import { reachable, Slots } from '../../src/cli/vectors/planner-budgets.ts';
import { Report } from '../../src/cli/vectors/report.ts';
import type { PlannerLine } from '../../src/cli/vectors/shapes.ts';

const NOW = '2026-05-18T18:15:30Z';

/** So many hosts, all of which may go, under one budget of so many slots. */
function situation(count: number, maxInFlight: number): PlannerLine {
  const names = Array.from({ length: count }, (_, i) => `h${String(i).padStart(2, '0')}`);
  const selector = { tags: [], tagsAny: [], hosts: [], channel: null, all: true };
  const budgets = [{ selector, hosts: names, maxInFlight }];
  const rolloutId = 'stable@r1';
  return {
    ...{ id: 'many', now: NOW, tags: [], quarantines: {}, outstandingEnforceFailures: {} },
    fleet: {
      hosts: Object.fromEntries(names.map((h) => [h, { channel: 'stable', closureHash: 'c1' }])),
      channels: { stable: { rolloutPolicy: 'p', freshnessWindow: 1440 } },
      rolloutPolicies: { p: { waves: [], onHealthFailure: 'halt' } },
      ...{ waves: {}, edges: [], channelEdges: [] },
    },
    manifests: {
      [rolloutId]: {
        ...{ channel: 'stable', channelRef: 'r1', displayName: 'r1', disruptionBudgets: budgets },
        hostSet: names.map((hostname) => ({ hostname, waveIndex: 0, targetClosure: 'c1' })),
      },
    },
    rollouts: [
      {
        ...{ rolloutId, channel: 'stable', targetRef: 'r1', currentWave: 0, openedAt: NOW },
        budgets,
      },
    ],
    hosts: names.map((hostname) => ({
      ...{ rolloutId, hostname, state: 'Pending', targetClosure: 'c1' },
    })),
    ...{ orderDependent: true, actions: [] },
  };
}

const sets = (count: number, slots: number) => {
  const line = situation(count, slots);
  return reachable(line.hosts, new Slots(line, new Set()), []).length;
};

it.each([
  [10, 5, 638],
  [11, 8, 1981],
])('%i hosts for %i slots are %i sets of grants', (count, slots, found) => {
  expect(sets(count, slots)).toBe(found);
});

it('more than 2000 are not tried, and the line is not agreed with', () => {
  expect(() => sets(11, 9)).toThrow('not compared: over 2000 sets of grants are possible');
  const report = new Report();
  compareLine('many', JSON.stringify(situation(14, 7)), report);
  const { unexplained, firstUnexplained } = report.summary();
  expect(unexplained).toBeGreaterThan(0);
  expect(firstUnexplained?.got).toContain('not compared');
});
