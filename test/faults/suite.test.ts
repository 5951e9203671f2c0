/** The short form of the fault suite, without its limits of time; `npm run test:faults` runs all of it. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { FAULTS } from './suite/faults/all.ts';
import { rowLine } from './suite/report.ts';
import { runFaults } from './suite/run.ts';

test('nothing that was accepted is lost, whatever dies', async () => {
  const { signal } = new AbortController();
  const short = FAULTS.filter((fault) => fault.short === true);
  const rows = await runFaults(short, {
    dist: path.resolve('dist'),
    onRow: () => undefined,
    timed: false,
    signal,
  });
  expect(rows.length).toBeGreaterThan(1);
  expect(rows.filter(({ verdict }) => verdict !== 'passed').map(rowLine)).toEqual([]);
});
