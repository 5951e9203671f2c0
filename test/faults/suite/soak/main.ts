/**
 * `npm run test:soak -- --minutes N [--seed TEXT] [--json]`: release after release to the same hosts, each superseding
 * the one before while its hosts still soak, with a random fault under way; then what grew, and what was lost.
 *
 * In the first half any fault may come; in the second only those that leave the processes alive, so that what grows in
 * them can be seen.
 */
import os from 'node:os';
import path from 'node:path';
import { seededRandom, type Random } from '../../../../src/agent/clock.ts';
import { parseOptions, UsageError } from '../../../../src/cli/io.ts';
import { endProcesses } from '../../../support/processes.ts';
import { Bench } from '../bench/bench.ts';
import { check, type Findings } from '../check.ts';
import { FAULTS } from '../faults/all.ts';
import type { Fault } from '../fault.ts';
import { count, type Counts } from '../load/history.ts';
import { untilDrained } from '../run.ts';
import { trends, type Trend } from './flat.ts';
import { takeSample, type Sample } from './samples.ts';

interface Report extends Counts, Omit<Findings, 'wrong'> {
  readonly minutes: number;
  readonly seed: string;
  readonly releases: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly trends: readonly Trend[];
}

/** A quarter of an hour, the least there is: a release comes every few seconds, and what is kept is kept in memory. */
const RETENTION_DAYS = 0.01;
/** Ends a process, or the server that a process waits for. */
const DEADLY = /^(kill-|rolling-restart)/;
/** Answers before a fault, when half of the hosts move, and after it is healed. */
const LOAD = 100;
const LOAD_WITHIN_MS = 60_000;

const USAGE = 'usage: npm run test:soak -- [--minutes N] [--seed TEXT] [--json]';

interface Wishes {
  readonly minutes: number;
  readonly seed: string;
  readonly json: boolean;
  readonly help: boolean;
}

function readWishes(args: readonly string[]): Wishes {
  const { values } = parseOptions({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: 'soak' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new UsageError('--minutes takes a number above 0');
  return { ...values, minutes };
}

function draw(faults: readonly Fault[], random: Random): Fault {
  const fault = faults[Math.floor(random() * faults.length)];
  if (fault === undefined) throw new Error('there is no fault to draw');
  return fault;
}

/** One release, one fault while it rolls out. */
async function round(bench: Bench, fault: Fault, problems: string[]): Promise<void> {
  try {
    await bench.release();
    const moved = bench.load.move().then(() => {
      bench.load.start();
    });
    await bench.load.more(LOAD, LOAD_WITHIN_MS);
    await fault.run(bench);
    await bench.heal();
    await moved;
    await bench.load.more(LOAD, LOAD_WITHIN_MS);
  } catch (error) {
    problems.push(`${fault.name}: ${error instanceof Error ? error.message : String(error)}`);
    await bench.heal();
  }
  await bench.load.stop();
  await untilDrained(bench);
}

async function soak(minutes: number, seed: string, signal: AbortSignal): Promise<Report> {
  const random = seededRandom(seed);
  const shared = FAULTS.filter((fault) => fault.start === undefined);
  const gentle = shared.filter(({ name }) => !DEADLY.test(name));
  const flags = ['--retention-days', String(RETENTION_DAYS)];
  const bench = await Bench.start({ dist: path.resolve('dist'), withDba: false, flags });
  const samples: Sample[] = [];
  const faults: Record<string, number> = {};
  const problems: string[] = [];
  const began = performance.now();
  const passed = (): number => (performance.now() - began) / 60_000;
  try {
    let releases = 0;
    while (passed() < minutes && !signal.aborted) {
      const fault = draw(passed() < minutes / 2 ? shared : gentle, random);
      await round(bench, fault, problems);
      releases += 1;
      faults[fault.name] = (faults[fault.name] ?? 0) + 1;
      samples.push(await takeSample(bench, passed()));
      console.error(
        `${passed().toFixed(1)} min  ${fault.name}  ${JSON.stringify(samples.at(-1)?.values)}`,
      );
    }
    const { attempts } = bench.load.history;
    const { wrong, ...found } = await check(bench.database, attempts, {
      dead: bench.planted,
      lossWindow: bench.lossWindow,
    });
    problems.push(...wrong);
    const about = { minutes: Math.round(passed()), seed, releases, faults, problems };
    return { ...about, ...count(attempts), ...found, trends: trends(samples) };
  } finally {
    await bench.close();
  }
}

function markdown(report: Report): string {
  const { ops, ok, failed, unknown, lost, duplicated, gaps, problems } = report;
  const faults = Object.entries(report.faults).map(([name, times]) => `${name} ${times}×`);
  const rows = report.trends.map(
    ({ name, first, before, last, limit, flat }) =>
      `| ${name} | ${first} | ${before} | ${last} | ${limit ?? 'grows'} | ${flat ? 'yes' : '**no**'} |`,
  );
  return `# Soak of ${report.minutes} minutes

${os.cpus().length} × ${os.cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, seed \`${report.seed}\`.

${report.releases} releases to 60 hosts, one after the other, a random fault during each: ${faults.sort().join(', ')}.

| ops | ok | failed | unknown | lost | duplicated | gaps |
|---|---|---|---|---|---|---|
| ${ops} | ${ok} | ${failed} | ${unknown} | ${lost} | ${duplicated} | ${gaps} |

Problems: ${problems.length === 0 ? 'none' : problems.map((one) => `\n- ${one}`).join('')}

| what | first | third quarter | last quarter | at most | flat |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

async function main(args: readonly string[]): Promise<number> {
  const { minutes, seed, json, help } = readWishes(args);
  if (help) {
    console.log(USAGE);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const report = await soak(minutes, seed, stop.signal);
  console.log(json ? JSON.stringify(report) : markdown(report));
  const { lost, duplicated, gaps, problems } = report;
  const flat = report.trends.every((trend) => trend.flat);
  return lost + duplicated + gaps + problems.length === 0 && flat ? 0 : 1;
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
