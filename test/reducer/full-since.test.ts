/** Since when a budget is full is read off rows that were not made for it: it must never tell more than was. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fullBudgets } from '../../src/reducer/planner/gates/disruption-budget.ts';
import { heldAt, sinceByRows } from '../../src/reducer/planner/gates.ts';
import { limitOf } from '../../src/reducer/planner/limit.ts';
import { budgetState } from '../../src/reducer/state/flight.ts';
import type { FleetState } from '../../src/reducer/state/state.ts';
import { timeOf, type Millis } from '../../src/reducer/time.ts';
import { action } from './support/actions.ts';
import { fleetSpec } from './support/fleet-spec.ts';
import { takenOver } from './support/replay.ts';
import { World } from './support/world.ts';

type Full = ReadonlyMap<string, Millis>;

/** `rollout budget in-flight` → since when there is no room for a host that is in flight, or that is not. */
function watch(known: Full, state: FleetState): Full {
  const found = new Map<string, Millis>();
  for (const [id, rollout] of state.live) {
    rollout.row.plan.budgets.forEach((budget, index) => {
      const limit = limitOf(budget) ?? Infinity;
      const { size } = budgetState(state, rollout, index).inFlight;
      for (const inFlight of [false, true]) {
        if (size < limit + Number(inFlight)) continue;
        const name = `${id} ${String(index)} ${String(inFlight)}`;
        found.set(name, known.get(name) ?? state.lastTs);
      }
    });
  }
  return found;
}

it('a budget is full since when it is said to be, or for longer, and a later leader says the same', () => {
  let asked = 0;
  const history = fc.tuple(fleetSpec, fc.array(action, { maxLength: 60, size: 'max' }));
  fc.assert(
    fc.property(history, ([spec, actions]) => {
      let truly: Full = new Map();
      const world: World = new World(spec, ({ state }) => {
        truly = watch(truly, state);
      });
      for (const next of actions) world.act(next);
      const { state, now } = world;
      truly = watch(truly, state);
      const later = takenOver(state, world.content);
      for (const [id, rollout] of state.live) {
        for (const hostname of rollout.records.keys()) {
          const held = heldAt(state, id, hostname, now);
          const again = heldAt(later, id, hostname, now);
          if (held === null || again === null) throw new Error('the record is gone');
          for (const key of fullBudgets(held)) {
            const index = Number(key.split(':')[1]);
            const { inFlight } = budgetState(state, rollout, index);
            const since = truly.get(`${id} ${String(index)} ${String(inFlight.has(hostname))}`);
            const said = sinceByRows(held, key) ?? '';
            const first = since === undefined ? 'never' : timeOf(since);
            expect([key, hostname, said >= first && said <= timeOf(now)]).toEqual([
              ...[key, hostname, true],
            ]);
            expect(sinceByRows(again, key)).toBe(said);
            asked += 1;
          }
        }
      }
    }),
    { numRuns: 200 },
  );
  expect(asked).toBeGreaterThan(100);
});
