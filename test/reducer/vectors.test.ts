/** The committed sample of recorded results: nothing differs but what is deliberate, and that is noticed. */
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { expect, it } from 'vitest';
import { compareFile, compareLine } from '../../src/cli/vectors/compare.ts';
import { Report } from '../../src/cli/vectors/report.ts';

const FILES = ['host', 'rollout', 'planner'] as const;
const pathOf = (file: string) => new URL(`../vectors/${file}.jsonl.gz`, import.meta.url).pathname;

it.each(FILES)('%s: every difference has a name', async (file) => {
  const report = new Report();
  await compareFile(pathOf(file), report);
  const summary = report.summary();
  expect(summary.firstUnexplained).toBeUndefined();
  expect(summary.unexplained).toBe(0);
  expect(summary.agreed).toBeGreaterThan(summary.compared / 2);
});

it('does not take a wrong answer for a deliberate one', async () => {
  const recorded = await text(createReadStream(pathOf('host')).pipe(createGunzip()));
  const report = new Report();
  const wrong = recorded
    .slice(0, recorded.indexOf('\n'))
    .replace('"state":"Activating"', '"state":"Soaking"');
  compareLine('wrong', wrong, report);
  expect(report.summary().unexplained).toBeGreaterThan(0);
});

it('says that a line of another kind is none', () => {
  const report = new Report();
  compareLine('odd', '{"id":"x"}', report);
  expect(report.summary()).toMatchObject({ compared: 1, unexplained: 1 });
});
