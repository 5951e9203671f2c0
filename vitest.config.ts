/**
 * Three projects, by what they need. Sized for two cores: more workers only make timings worse.
 *
 * - `unit`: pure code and the house rules; no server (`npx vitest --project unit`).
 * - `database`: each file has a database of its own on the run's one server.
 * - `processes`: starts real processes and waits for them, after the others. Two files at a time: what is timed there has
 *   limits of seconds, or is corrected for the CPU that it did not get (`test/faults/suite/starvation.ts`).
 *
 * Files of the first two share their modules within a worker (`isolate: false`): loading them again for each file took a
 * third of the time. So a test must leave nothing behind in a module.
 */
import { defineConfig } from 'vitest/config';
import LongFirst from './test/support/long-first.ts';
import SummaryReporter from './test/support/summary-reporter.ts';

const unit = [
  'reducer',
  'wire',
  'trust',
  'agent',
  'config',
  'chart',
  'house',
  'simulator',
  'ca',
].map((d) => `test/${d}/**/*.test.ts`);
const processes = ['e2e', 'faults', 'cli', 'deploy'].map((d) => `test/${d}/**/*.test.ts`);
/** Asks a kube-apiserver, where one is given (CONTRIBUTING.md): left out elsewhere, not skipped in every run. */
const withoutApiServer =
  process.env['MUSTER_KUBE_APISERVER'] === undefined ? ['test/chart/apiserver.test.ts'] : [];
const setupFiles = ['test/support/after-file.ts'];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', new SummaryReporter()],
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: unit,
          exclude: withoutApiServer,
          maxWorkers: 2,
          isolate: false,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'database',
          include: ['test/**/*.test.ts'],
          exclude: [...unit, ...processes],
          setupFiles,
          maxWorkers: 2,
          isolate: false,
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'processes',
          include: processes,
          setupFiles,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
