/** A file of recorded results, line by line, against this core. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { compareHost } from './host.ts';
import { comparePlanner } from './planner.ts';
import type { Report } from './report.ts';
import { compareRollout } from './rollout.ts';
import { lineOf } from './shapes.ts';

export async function compareFile(path: string, report: Report): Promise<void> {
  const input = createReadStream(path).pipe(createGunzip());
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    if (text !== '') compareLine(path, text, report);
  }
}

export function compareLine(path: string, text: string, report: Report): void {
  const value: unknown = JSON.parse(text);
  const known = lineOf(value);
  switch (known?.kind) {
    case 'host':
      compareHost(known.line, report);
      return;
    case 'rollout':
      compareRollout(known.line, report);
      return;
    case 'planner':
      comparePlanner(known.line, report);
      return;
    case undefined:
      report.add({ at: path, expected: 'a host, rollout or planner line', got: value }, []);
  }
}
