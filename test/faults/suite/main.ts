/** `npm run test:faults -- [--json] [--short] [--only NAME] [--list]` */
import path from 'node:path';
import { endProcesses } from '../../support/processes.ts';
import { FAULTS } from './faults/all.ts';
import type { Fault, Row } from './fault.ts';
import { headLine, rowLine, summary } from './report.ts';
import { runFaults } from './run.ts';

interface Asked {
  readonly json: boolean;
  readonly faults: readonly Fault[];
}

function asked(args: readonly string[]): Asked {
  const json = args.includes('--json');
  const only = args.flatMap((arg, i) => (args[i - 1] === '--only' ? arg.split(',') : []));
  const unknown = only.filter((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0) throw new Error(`there is no fault ${unknown.join(', ')}; see --list`);
  const faults = FAULTS.filter(({ name, short }) => {
    if (only.length > 0) return only.includes(name);
    return !args.includes('--short') || short === true;
  });
  return { json, faults };
}

function say(row: Row): void {
  console.log(rowLine(row));
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--list')) {
    for (const { name, what } of FAULTS) console.log(`${name.padEnd(34)} ${what}`);
    return 0;
  }
  const { json, faults } = asked(args);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  console.log(headLine());
  const dist = path.resolve('dist');
  const rows = await runFaults(faults, { dist, onRow: say, signal: stop.signal });
  console.log(summary(rows));
  if (json) console.log(JSON.stringify({ rows }));
  const failed = rows.some(({ verdict }) => verdict === 'failed') || stop.signal.aborted;
  return failed || rows.length === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  await endProcesses();
}
