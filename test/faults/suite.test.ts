/** The short form of the fault suite; `npm run test:faults` runs all of it. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { FAULTS } from './suite/faults/all.ts';
import { headLine, rowLine } from './suite/report.ts';
import { runFaults } from './suite/run.ts';

/**
 * 100 to 120 s on two cores that ten processes want. Every phase of a fault has a limit of its own, and a fault that was
 * late is tried once more: this ends only what ignores them.
 */
const WITHIN_MS = 600_000;

test(
  'nothing that was accepted is lost, and progress goes on in time, whatever dies',
  async ({ signal }) => {
    const short = FAULTS.filter((fault) => fault.short === true);
    const onRow = (): void => undefined;
    const rows = await runFaults(short, { dist: path.resolve('dist'), onRow, signal });
    console.log([headLine(), ...rows.map(rowLine)].join('\n'));
    expect(rows.length).toBeGreaterThan(3);
    expect(rows.filter(({ verdict }) => verdict === 'failed').map(rowLine)).toEqual([]);
  },
  WITHIN_MS,
);
