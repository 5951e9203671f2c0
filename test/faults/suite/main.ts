/** `npm run test:faults -- [--list] [--only NAME,…] [--short] [--json] [--weaken NAME|all]` */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../../../src/cli/io.ts';
import { endProcesses } from '../../support/processes.ts';
import { HELP, named, readAsked, USAGE, type Asked } from './asked.ts';
import { FAULTS } from './faults/all.ts';
import type { Row } from './fault.ts';
import { headLine, rowLine, summary } from './report.ts';
import { runFaults, type RunOptions } from './run.ts';
import { UnfitError, weaken, WEAKENINGS, type Weakening } from './weaken.ts';

const DIST = path.resolve('dist');

function list(): void {
  for (const { name, what } of FAULTS) console.log(`${name.padEnd(34)} ${what}`);
  for (const { name, what } of WEAKENINGS) console.log(`${`--weaken ${name}`.padEnd(34)} ${what}`);
}

/** True when nothing was lost, duplicated or missing, and every fault was met in time; and some fault was. */
async function runAll({ faults, json }: Asked, options: RunOptions): Promise<boolean> {
  const rows = await runFaults(faults, options);
  const say = json ? console.error : console.log;
  say(summary(rows));
  if (json) console.log(JSON.stringify({ rows }));
  const verdicts = rows.map(({ verdict }) => verdict);
  return verdicts.includes('passed') && !verdicts.includes('failed');
}

/** Null when the harm was seen, else why not. */
async function unnoticed(weakening: Weakening, options: RunOptions): Promise<string | null> {
  let dist: string;
  try {
    dist = weaken(DIST, weakening);
  } catch (error) {
    if (error instanceof UnfitError) return error.message;
    throw error;
  }
  try {
    const faults = named('fault', FAULTS, weakening.faults);
    const rows = await runFaults(faults, { ...options, dist });
    return rows.some(weakening.shows) ? null : 'its faults show no harm';
  } finally {
    fs.rmSync(path.dirname(dist), { recursive: true, force: true });
  }
}

async function weakenAll({ weakenings, json }: Asked, options: RunOptions): Promise<boolean> {
  const results: { readonly weakening: string; readonly noticed: boolean }[] = [];
  const say = json ? console.error : console.log;
  for (const weakening of weakenings) {
    if (options.signal.aborted) break;
    const why = await unnoticed(weakening, options);
    say(`${why === null ? 'noticed' : 'NOT NOTICED'}: ${weakening.name}: ${weakening.what}`);
    if (why !== null) say(`  ${why}`);
    results.push({ weakening: weakening.name, noticed: why === null });
  }
  if (json) console.log(JSON.stringify({ weakenings: results }));
  return results.every(({ noticed }) => noticed);
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = readAsked(args);
  if (wanted.help) console.log(HELP);
  if (wanted.list) list();
  if (wanted.help || wanted.list) return 0;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  // With --json the table is for whoever watches, and standard output for the machine.
  const say = wanted.json ? console.error : console.log;
  say(headLine());
  const onRow = (row: Row): void => {
    say(rowLine(row));
  };
  const options = { dist: DIST, onRow, signal: stop.signal };
  const run = wanted.weakenings.length > 0 ? weakenAll : runAll;
  const well = await run(wanted, options);
  return well && !stop.signal.aborted ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
} finally {
  await endProcesses();
}
