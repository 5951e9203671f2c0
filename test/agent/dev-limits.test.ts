/** What `muster dev` refuses before it starts anything. */
import { expect, test } from 'vitest';
import { checkDescriptors } from '../../src/cli/dev/descriptors.ts';
import { readOptions } from '../../src/cli/dev/options.ts';

test('a fleet too large for the open files limit is refused with both numbers', () => {
  expect(() => checkDescriptors(2_000, 4_096)).toThrow('2000 hosts need 4300 open files, and this');
  checkDescriptors(2_000, 4_300);
  checkDescriptors(24);
});

test.each([
  [['--hosts', '5'], '--hosts 5: give a whole number from 6 to 5000'],
  [['--hosts', '7.5'], '--hosts 7.5: give a whole number'],
  [['--port', 'http'], '--port http: give a whole number from 0 to 65535'],
  [['--fail-probe', '2'], '--fail-probe 2: give a number from 0 to 1'],
  [['--hurry'], "Unknown option '--hurry'"],
])('%j', (args, message) => {
  expect(() => readOptions(args)).toThrow(message);
});

test('more hosts and longer soaks get more time', () => {
  const seconds = (...args: string[]): number => readOptions(args)?.timeoutSeconds ?? 0;
  expect(seconds('--hosts', '2000')).toBeGreaterThan(seconds() + 500);
  expect(seconds('--soak-seconds', '60')).toBeGreaterThan(seconds() + 1_000);
});
