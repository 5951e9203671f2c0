/**
 * Vitest begins with the files that took longest in the run before; a fresh clone has none, and takes the largest. A
 * long file that begins last is then waited for with one core idle: these begin first.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** In this order; each takes a quarter of a minute or more. */
const LONG = [
  ...['simulator/seeds', 'reducer/properties', 'eventlog/keep', 'eventlog/log', 'api/enrol'],
  ...['faults/suite', 'e2e/dev', 'e2e/page', 'deploy/compose', 'deploy/chart-containers'],
  ...['deploy/upgrade', 'e2e/memory-loss', 'deploy/restore', 'e2e/failover', 'deploy/guides'],
];

function rank({ moduleId }: TestSpecification): number {
  const at = LONG.findIndex((part) => moduleId.includes(`/test/${part}`));
  return at < 0 ? LONG.length : at;
}

export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    return others.sort((a, b) => rank(a) - rank(b));
  }
}
