/** A standby that lagged excuses what it lacked, and nothing that was told before or after. */
import { expect, test } from 'vitest';
import { toldOutside, type Attempt } from './suite/load/history.ts';

const WINDOW = { from: 10_000, to: 14_000 };

function told(key: string, sentAt: number, answeredAt: number): Attempt {
  return { of: 'command', key, seqs: null, status: 204, sentAt, answeredAt };
}

test('what was told outside the window is to be there', () => {
  const attempts = [
    told('long before', 1_000, 1_010),
    told('on its way', 9_800, 9_900),
    told('in it', 12_000, 12_010),
    told('to the dead', 13_990, 14_500),
    told('answered after', 13_990, 14_501),
    told('after', 14_001, 15_000),
  ];
  const keys = toldOutside(attempts, WINDOW).map((one) => one.of === 'command' && one.key);
  expect(keys).toEqual(['long before', 'answered after', 'after']);
});
