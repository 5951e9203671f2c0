/** A file of recorded results, gzipped or plain, line by line, against this core. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { compareHost, HOST_RULES } from './host.ts';
import { BUDGET_RULES } from './planner-budgets.ts';
import { GATE_RULES } from './planner-gates.ts';
import { comparePlanner, SOAK_RULE } from './planner.ts';
import type { Report } from './report.ts';
import { compareRollout, ROLLOUT_RULES } from './rollout.ts';
import type { Named } from './rule.ts';
import { lineOf } from './shapes.ts';

/** All deliberate differences. */
export const RULES: readonly Named[] = [
  ...HOST_RULES,
  ...ROLLOUT_RULES,
  ...GATE_RULES,
  ...BUDGET_RULES,
  SOAK_RULE,
];

/** What every gzip stream begins with. */
const GZIP = [0x1f, 0x8b];

/** Throws for a file that cannot be read, or that records nothing: agreement with nothing is none. */
export async function compareFile(path: string, report: Report): Promise<void> {
  const bytes = await readFile(path);
  const isZipped = GZIP.every((byte, i) => bytes[i] === byte);
  const text = isZipped ? await promisify(gunzip)(bytes) : bytes;
  const lines = text.toString('utf8').split(/\r?\n/);
  let found = 0;
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    found += 1;
    compareLine(`${path}:${String(i + 1)}`, line, report);
  }
  if (found === 0) throw new Error(`${path} records nothing: it has no line that is not blank`);
}

export function compareLine(at: string, text: string, report: Report): void {
  try {
    compareKnown(at, text, report);
  } catch (error) {
    // A line that contradicts itself; the others may still be compared.
    report.add({ at, expected: 'a situation that can be', got: String(error) }, []);
  }
}

function compareKnown(at: string, text: string, report: Report): void {
  const value = parsed(text);
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
      report.add({ at, expected: 'a host, rollout or planner line', got: value }, []);
  }
}

/** Null for what is no JSON: no line of ours. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
