/** The committed sample of recorded results: nothing differs but what is deliberate, and that is noticed. */
import { createReadStream } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createGunzip, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
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

describe('a file', () => {
  const recorded = async () => {
    const whole = await text(createReadStream(pathOf('rollout')).pipe(createGunzip()));
    return whole.split('\n').slice(0, 20);
  };
  const compared = async (content: string | Uint8Array) => {
    const path = join(await mkdtemp(join(tmpdir(), 'muster-vectors-')), 'some.jsonl');
    await writeFile(path, content);
    const report = new Report();
    await compareFile(path, report);
    return report.summary();
  };

  it('may be plain or zipped, with blank lines and any line ends', async () => {
    const lines = await recorded();
    const zipped = await compared(gzipSync(lines.join('\n')));
    expect(zipped.compared).toBeGreaterThan(0);
    expect(await compared(lines.join('\n'))).toEqual(zipped);
    expect(await compared(`\r\n${lines.join('\r\n\r\n')}\r\n`)).toEqual(zipped);
  });

  it('that records nothing agrees with nothing', async () => {
    await expect(compared('')).rejects.toThrow('records nothing');
    await expect(compared(gzipSync('\n\n'))).rejects.toThrow('records nothing');
  });

  it('names the line that is none', async () => {
    const [first = ''] = await recorded();
    const { unexplained, firstUnexplained } = await compared(`${first}\n{"id":`);
    expect(unexplained).toBe(1);
    expect(firstUnexplained?.at).toMatch(/:2$/);
  });
});
