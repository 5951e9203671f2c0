/** A file of recorded results, gzipped or plain, line by line, against this core. */
import { compareHost, HOST_RULES } from './host.ts';
import { linesOf } from './lines.ts';
import { BUDGET_RULES } from './planner-budgets.ts';
import { GATE_RULES } from './planner-gates.ts';
import { comparePlanner, SOAK_RULE } from './planner.ts';
import type { Report } from './report.ts';
import { compareRollout, ROLLOUT_RULES } from './rollout.ts';
import type { Named } from './rule.ts';
import { faultOf, lineOf } from './shapes.ts';

/** All deliberate differences. */
export const RULES: readonly Named[] = [
  ...HOST_RULES,
  ...ROLLOUT_RULES,
  ...GATE_RULES,
  ...BUDGET_RULES,
  SOAK_RULE,
];

/** Throws for a file that cannot be read, or that records nothing: agreement with nothing is none. */
export async function compareFile(path: string, report: Report): Promise<void> {
  let at = 0;
  let found = 0;
  try {
    for await (const line of linesOf(path)) {
      at += 1;
      if (line.trim() === '') continue;
      found += 1;
      compareLine(`${path}:${String(at)}`, line, report);
    }
  } catch (error) {
    throw new Error(`unreadable after ${String(at)} lines: ${String(error)}`, { cause: error });
  }
  if (found === 0) throw new Error(`${path} records nothing: it has no line that is not blank`);
}

export function compareLine(at: string, text: string, report: Report): void {
  report.enter(at);
  try {
    compareKnown(text, report);
  } catch (error) {
    // A line that contradicts itself; the others may still be compared.
    report.add({ at: '', expected: 'a line that can be compared', got: String(error) }, []);
  }
}

function compareKnown(text: string, report: Report): void {
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
      report.add({ at: '', expected: 'a host, rollout or planner line', got: faultOf(value) }, []);
  }
}
