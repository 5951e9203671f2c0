/** `npm run simulate -- --seeds 1000 [--start N] [--json] [--brief] [--break NAME] [--trace]`. */
import { writeSync } from 'node:fs';
import { BREAKS, isBreak, type BreakName } from './breaks.ts';
import { FAULT_KINDS } from './faults.ts';
import { brief, report } from './report.ts';
import { simulate, type Outcome } from './simulation.ts';

interface Wishes {
  seeds: number;
  start: number;
  json: boolean;
  trace: boolean;
  /** Tells what failed, and looks for no smaller case of it. */
  brief: boolean;
  breaks: Set<BreakName>;
}

const USAGE = `usage: npm run simulate -- [--seeds 1000] [--start 1] [--json] [--trace] [--brief] [--break NAME]
breaks: ${Object.keys(BREAKS).join(', ')}
`;

function read(words: readonly string[]): Wishes | null {
  const wishes: Wishes = {
    ...{ seeds: 1_000, start: 1, json: false, trace: false, brief: false },
    breaks: new Set(),
  };
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--json') wishes.json = true;
    else if (word === '--trace') wishes.trace = true;
    else if (word === '--brief') wishes.brief = true;
    else if (word === '--seeds' || word === '--start') {
      const number = Number(rest.shift());
      // No seeds prove nothing, and would be green.
      if (!Number.isSafeInteger(number) || number < (word === '--seeds' ? 1 : 0)) return null;
      if (word === '--seeds') wishes.seeds = number;
      else wishes.start = number;
    } else if (word === '--break') {
      const name = rest.shift() ?? '';
      if (!isBreak(name)) return null;
      wishes.breaks.add(name);
    } else return null;
  }
  return wishes;
}

function say(text: string): void {
  writeSync(1, text);
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  if (words.includes('--help')) {
    say(USAGE);
    return 0;
  }
  const wishes = read(words);
  if (wishes === null) {
    writeSync(2, USAGE);
    return 2;
  }
  const began = performance.now();
  // A kind that never struck is told as such.
  const faults: Record<string, number> = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0]));
  const sums = { seeds: 0, steps: 0, violations: 0 };
  let failed: Outcome | null = null;
  const { breaks, start, seeds, trace } = wishes;
  for (let seed = start; seed < start + seeds && failed === null; seed += 1) {
    const outcome = await simulate(seed, { breaks, keepAll: trace });
    sums.seeds += 1;
    sums.steps += outcome.steps;
    sums.violations += outcome.violations.length;
    for (const [kind, count] of Object.entries(outcome.faults)) add(faults, kind, count);
    if (trace) say(`${(outcome.trace.all ?? []).join('\n')}\n`);
    if (outcome.violations.length > 0) failed = outcome;
    if (!wishes.json && seed % 500 === 0) say(`seed ${String(seed)}\n`);
  }
  if (failed !== null) say(wishes.brief ? brief(failed) : await report(failed, breaks));
  const elapsedMs = Math.round(performance.now() - began);
  const summary = { ...sums, faults, elapsedMs };
  const { seeds: ran, steps, violations } = sums;
  if (wishes.json) say(`${JSON.stringify({ seeds: ran, steps, faults, violations, elapsedMs })}\n`);
  else say(`${JSON.stringify(summary, null, 2)}\n`);
  return failed === null ? 0 : 1;
}

function add(faults: Record<string, number>, kind: string, count: number): void {
  faults[kind] = (faults[kind] ?? 0) + count;
}

process.exitCode = await main();
