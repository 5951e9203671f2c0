/** The whole system under faults, a few hundred times; thousands by `npm run simulate`. */
import { describe, expect, it } from 'vitest';
import { BREAKS, isBreak } from './breaks.ts';
import { simulate } from './simulation.ts';

/** Some 10 s; on two busy cores three times as long. */
const SEEDS = 60;
/** The longest search for a failure that a break must cause. */
const TRIES = 40;

describe('the simulated system', () => {
  it(`breaks no rule and comes right in ${String(SEEDS)} seeds`, { timeout: 90_000 }, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { violations } = await simulate(seed);
      expect(violations, `npm run simulate -- --start ${String(seed)} --seeds 1`).toEqual([]);
    }
  });

  it('does the same again for the same seed', { timeout: 30_000 }, async () => {
    for (const seed of [1, 2, 19]) {
      const [first, second] = [await simulate(seed), await simulate(seed)];
      expect(second.hash).toBe(first.hash);
      expect(second.steps).toBe(first.steps);
    }
  });

  it.each(Object.keys(BREAKS))('notices %s', { timeout: 60_000 }, async (name) => {
    const breaks = new Set(isBreak(name) ? [name] : []);
    for (let seed = 1; seed <= TRIES; seed += 1) {
      const { violations } = await simulate(seed, { breaks });
      if (violations.length > 0) return;
    }
    expect.fail(`${name} went unnoticed in ${String(TRIES)} seeds`);
  });
});
