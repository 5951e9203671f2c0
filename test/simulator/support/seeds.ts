/** The seeds of every `npm test`, in two files, so that two cores share them; thousands by `npm run simulate`. */
import { expect, it } from 'vitest';
import { FAULT_KINDS, type FaultKind } from '../faults.ts';
import { simulate } from '../simulation.ts';

/** Some 30 s on two idle cores; a third of a second each. */
const SEEDS = 200;

/** Registers every other seed, from this one. */
export function runSeeds(first: 1 | 2): void {
  it(
    `breaks no rule and comes right in ${String(SEEDS / 2)} seeds`,
    { timeout: 300_000 },
    async () => {
      const struck = new Set<string>();
      for (let seed = first; seed <= SEEDS; seed += 2) {
        const { violations, faults } = await simulate(seed);
        for (const kind of Object.keys(faults)) struck.add(kind);
        expect(violations, `npm run simulate -- --start ${String(seed)} --seeds 1`).toEqual([]);
      }
      // One that never comes proves nothing.
      expect(FAULT_KINDS.filter((kind: FaultKind) => !struck.has(kind))).toEqual([]);
    },
  );
}
