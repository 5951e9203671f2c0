/**
 * What a rollout pins of its budgets: their own hosts, found by an index where lists are long, and the text that
 * names them.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HostLists, selectorInBrief, selectorKey } from '../../src/reducer/planner/pin.ts';

const names = fc.uniqueArray(fc.integer({ min: 0, max: 60 }).map(String), { maxLength: 60 });
const few = fc.uniqueArray(fc.integer({ min: 0, max: 80 }).map(String), { maxLength: 8 });

it('finds what a plain search finds, list after list', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b'), names, few)), (asked) => {
      const lists = new HostLists();
      for (const [key, hosts, own] of asked) {
        const found = hosts.filter((hostname) => own.includes(hostname));
        expect(lists.among(key, hosts, own)).toEqual(found);
        expect(lists.among(key, [...hosts], own)).toEqual(found);
      }
    }),
  );
});

const NOTHING = { tags: [], tagsAny: [], hosts: [], channel: null, all: false };

it('names a selector by a few of its hosts, and says how many more', () => {
  const hosts = Array.from({ length: 1_000 }, (_, i) => `n${String(i).padStart(4, '0')}`);
  expect(selectorInBrief({ ...NOTHING, channel: 'stable', hosts })).toBe(
    'channel="stable" hosts=["n0000","n0001","n0002","n0003","n0004"] and 995 more',
  );
  const short = { ...NOTHING, tagsAny: ['web', 'db'], hosts: hosts.slice(0, 5) };
  expect(selectorInBrief(short)).toBe(selectorKey(short));
});
