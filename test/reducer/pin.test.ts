/** A budget's own hosts are found by an index where lists are long: the same as by looking through the list. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HostLists } from '../../src/reducer/planner/pin.ts';

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
