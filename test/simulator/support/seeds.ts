/** The seeds of every `npm test`, in two files, so that two cores share them; thousands by `npm run simulate`. */
import { expect, it } from 'vitest';
import { simulate } from '../simulation.ts';

/** Some 30 s on two idle cores; a third of a second each. */
const SEEDS = 200;

/** Registers every other seed, from this one. */
export function runSeeds(first: 1 | 2): void {
  it(
    `breaks no rule and comes right in ${String(SEEDS / 2)} seeds`,
    { timeout: 300_000 },
    async () => {
      for (let seed = first; seed <= SEEDS; seed += 2) {
        const { violations } = await simulate(seed);
        expect(violations, `npm run simulate -- --start ${String(seed)} --seeds 1`).toEqual([]);
      }
    },
  );
}
