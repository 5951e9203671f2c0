/** One `muster dev` per directory; what a killed one leaves behind stops nobody. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lockDirectory } from '../../src/cli/dev/lock.ts';
import { makeScratchDir } from '../support/scratch.ts';

test('the second is told who was first', () => {
  const dir = makeScratchDir('lock');
  const unlock = lockDirectory(dir);
  expect(() => lockDirectory(dir)).toThrow(`already running on ${dir} (process ${process.pid})`);
  unlock();
  lockDirectory(dir)();
});

test.each([
  ['of a process that is gone', '4194303 1'],
  ['whose number is some other process now', `${process.pid} 12345`],
  ['that was never written to the end', ''],
])('a lock %s is taken over', (_, content) => {
  const dir = makeScratchDir('lock');
  writeFileSync(path.join(dir, 'dev.lock'), content);
  lockDirectory(dir)();
});
