/** Since when what is rejected, over rises and falls, and where an older Muster was told in between. */
import { expect, test } from 'vitest';
import { rejecting } from '../../src/reducer/planner/gates/manifest-rejected.ts';
import { emptyFleetRow } from '../../src/reducer/state/state.ts';

const day = (n: number): string => `2026-11-${String(n).padStart(2, '0')}T00:00:00.000Z`;

/** What is kept after these were told, each at noon of its turn. */
function told(...instants: readonly (number | null)[]) {
  let fleet = emptyFleetRow();
  instants.forEach((instant, i) => {
    const rejectBefore = instant === null ? null : day(instant);
    const rejections = rejecting(fleet, rejectBefore, day(20 + i));
    fleet = { ...fleet, rejectBefore, rejections };
  });
  return fleet.rejections?.map(({ before, at }) => [before, at]) ?? null;
}

test('a rise rejects more from then on', () => {
  expect(told(3, 5)).toEqual([
    [day(3), day(20)],
    [day(5), day(21)],
  ]);
});

test('a fall forgets nothing of what it still rejects, and no more', () => {
  expect(told(3, 5, 4)).toEqual([
    [day(3), day(20)],
    [day(4), day(21)],
  ]);
  expect(told(5, 3, 5)).toEqual([
    [day(3), day(20)],
    [day(5), day(22)],
  ]);
  expect(told(3, 5, null, 3)).toEqual([[day(3), day(23)]]);
});

test('an instant that an older Muster was told has no time, whatever was kept before', () => {
  const fleet = { ...emptyFleetRow(), rejectBefore: day(4) };
  const stale = { ...fleet, rejections: [{ before: day(9), at: day(19) }] };
  for (const before of [fleet, stale])
    expect(rejecting(before, day(5), day(20))).toEqual([
      { before: day(4), at: null },
      { before: day(5), at: day(20) },
    ]);
});

test('the oldest are forgotten beyond thirty-two', () => {
  const instants = Array.from({ length: 40 }, (_, i) => i);
  let fleet = emptyFleetRow();
  for (const i of instants) {
    const rejectBefore = `2026-11-01T00:00:${String(i).padStart(2, '0')}.000Z`;
    fleet = { ...fleet, rejectBefore, rejections: rejecting(fleet, rejectBefore, day(20)) };
  }
  expect(fleet.rejections).toHaveLength(32);
  expect(fleet.rejections?.at(-1)?.before).toBe(fleet.rejectBefore);
});
