/**
 * That the simulator is worth its verdicts: the same seed is the same run, and what is broken on purpose is
 * noticed. The seeds themselves run in `seeds-odd.test.ts` and `seeds-even.test.ts`.
 */
import { describe, expect, it } from 'vitest';
import { BREAKS, isBreak } from './breaks.ts';
import { simulate } from './simulation.ts';

/** The longest search for a failure that a break must cause. */
const TRIES = 40;

describe('the simulated system', () => {
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
