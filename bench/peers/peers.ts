/**
 * `npm run bench -- peers`: the same durable job on Muster's queue and leader, on graphile-worker and on
 * pg-boss, one producer and one consumer process each, all on one newer Node and one PostgreSQL, taking
 * turns. A job is some 200 bytes in and one durable row out; Muster's is a real event through the real
 * reducer, which also updates the host's state and leaves a verdict.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import path from 'node:path';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../src/cli/dev/embedded-postgres.ts';
import { machine } from '../machine.ts';
import { median, percentiles, round } from '../numbers.ts';
import { chosenOf, type BenchOptions } from '../options.ts';

/** The packages live apart: see README.md. */
const PEERS = path.resolve('bench/peers');
const NODE = path.join(PEERS, 'node_modules/node/bin/node');
const RATES = [100, 1_000];
/** A burst that is not done by then is counted as far as it got. */
const BURST_ENDS_MS = 20_000;
/** Of the slow, single variants: seconds of work. */
const FEW = 5_000;
const MANY = 40_000;

interface Contender {
  readonly name: string;
  readonly program: string;
  readonly variant: string;
  readonly jobs: number;
  /** Where its effects are counted: a column that grows by one with each. */
  readonly effects: { readonly table: string; readonly column: string };
  /** The build of Muster that it is; null: none. */
  readonly dist: string | null;
}

const EFFECT = { table: 'public.effect', column: 'id' };

/** A build of Muster. */
function muster(name: string, dist: string): Contender {
  const program = path.join(dist, 'bench/bench/peers/muster.js');
  const effects = { table: 'muster.event_log', column: 'seq' };
  return { name, program, variant: 'gathered', jobs: MANY, effects, dist };
}

const CONTENDERS: readonly Contender[] = [
  muster('muster', path.resolve('dist')),
  ...(['batched', 'single'] as const).flatMap((variant) =>
    (['graphile', 'pgboss'] as const).map((peer) => ({
      name: `${peer}-${variant}`,
      program: path.join(PEERS, `${peer}.mjs`),
      variant,
      jobs: variant === 'batched' ? MANY : FEW,
      effects: EFFECT,
      dist: null,
    })),
  ),
];

/** Those that are asked for; another build of Muster comes last. */
function contenders(options: BenchOptions): readonly Contender[] {
  const { vs } = options;
  const former = vs === null ? [] : [muster('former', path.join(vs, 'dist'))];
  for (const { program } of former)
    if (!existsSync(program)) throw new Error(`${program} is not there: see bench/README.md`);
  const names = CONTENDERS.map(({ name }) => name);
  const chosen = chosenOf(names, options);
  return [...CONTENDERS.filter(({ name }) => chosen.includes(name)), ...former];
}

interface Running extends Contender {
  readonly sql: postgres.Sql;
  readonly producer: ChildProcess;
  readonly consumer: ChildProcess;
}

interface Turn {
  readonly jobsPerSecond: number;
  readonly latencies: readonly {
    readonly perSecond: number;
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
  }[];
}

export async function benchPeers(options: BenchOptions): Promise<void> {
  if (!existsSync(NODE)) {
    console.error('the peers are not installed: npm ci --prefix bench/peers');
    process.exitCode = 2;
    return;
  }
  const chosen = contenders(options);
  const server = await startEmbeddedPostgres({
    dataDir: path.join(os.tmpdir(), `muster-peers-${process.pid}`),
    ephemeral: true,
    settings: { max_connections: '300' },
  });
  const running: Running[] = [];
  try {
    for (const contender of chosen) running.push(await start(contender, server.url));
    const turns = new Map<string, Turn[]>(chosen.map(({ name }) => [name, []]));
    for (let turn = 0; turn <= options.rounds; turn += 1) {
      for (const one of running) {
        await tidy(one);
        const measured = await measure(one, options.seconds);
        // The first round warms up.
        if (turn > 0) turns.get(one.name)?.push(measured);
        if (!options.json) console.log(turn, one.name, JSON.stringify(measured));
      }
    }
    tell(turns, server.version, options);
  } finally {
    for (const { producer, consumer, sql } of running) {
      producer.kill('SIGKILL');
      consumer.kill('SIGKILL');
      await sql.end({ timeout: 1 });
    }
    await server.stop('immediate');
  }
}

/**
 * So that each runs at its best: analysed when it is drained, and not emptied of its dead rows, a queue's table counts as
 * one of no rows, however many come, until it is looked at again; graphile-worker then makes some 250 jobs/s, not 20,000.
 */
async function tidy({ sql }: Running): Promise<void> {
  await sql.unsafe('VACUUM (ANALYZE)');
}

function contendersNode(): string {
  return execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim();
}

/** Each has a database of its own. */
async function start(contender: Contender, server: string): Promise<Running> {
  const admin = postgres(server, { max: 1, onnotice: () => undefined });
  const name = contender.name.replace('-', '_');
  await admin`CREATE DATABASE ${admin(name)}`;
  await admin.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  const sql = postgres(url.href, { max: 1, onnotice: () => undefined });
  await sql`CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)`;
  if (contender.dist !== null) migrate(contender.dist, url.href);
  const consumer = await launch(contender, 'consumer', url.href);
  const producer = await launch(contender, 'producer', url.href);
  return { ...contender, sql, producer, consumer };
}

/** By the build itself: another one may have another schema. */
function migrate(dist: string, url: string): void {
  execFileSync(process.execPath, [path.join(dist, 'cli/muster.js'), 'migrate'], {
    env: { ...process.env, MUSTER_DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function launch(
  { program, variant }: Contender,
  role: string,
  url: string,
): Promise<ChildProcess> {
  const child = spawn(NODE, [program, role, url, variant], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await answer(child);
  return child;
}

/** Its next message: the latencies that it saw. */
function answer(child: ChildProcess): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const ended = (): void => {
      reject(new Error('a contender ended'));
    };
    child.once('exit', ended);
    child.once('message', (message: { readonly latencies: readonly number[] }) => {
      child.off('exit', ended);
      resolve(message.latencies);
    });
  });
}

async function measure(one: Running, seconds: number): Promise<Turn> {
  const jobsPerSecond = await burst(one);
  const latencies = [];
  for (const perSecond of RATES) latencies.push(await atRate(one, perSecond, seconds));
  return { jobsPerSecond, latencies };
}

async function burst(one: Running): Promise<number> {
  await order(one.consumer, {});
  const before = await effectsOf(one);
  const began = performance.now();
  const enqueued = order(one.producer, { jobs: one.jobs, perSecond: null });
  let made = 0;
  while (made < one.jobs && performance.now() - began < BURST_ENDS_MS) {
    await delay(10);
    made = (await effectsOf(one)) - before;
  }
  const took = (performance.now() - began) / 1_000;
  await enqueued;
  await drained(one, before + one.jobs);
  return Math.round(made / took);
}

async function atRate(one: Running, perSecond: number, seconds: number) {
  await order(one.consumer, {});
  const before = await effectsOf(one);
  const jobs = Math.round(perSecond * seconds);
  const seen = await order(one.producer, { jobs, perSecond });
  await drained(one, before + jobs);
  const consumed = await order(one.consumer, {});
  const { p50, p99, p999 } = percentiles(Float64Array.from([...seen, ...consumed]));
  return { perSecond, p50, p99, p999 };
}

function order(child: ChildProcess, message: object): Promise<readonly number[]> {
  const answered = answer(child);
  child.send(message);
  return answered;
}

async function drained(one: Running, wanted: number): Promise<void> {
  while ((await effectsOf(one)) < wanted) await delay(50);
}

async function effectsOf({ sql, effects: { table, column } }: Running): Promise<number> {
  const [row] = await sql.unsafe<{ n: string | null }[]>(
    `SELECT max(${column}) AS n FROM ${table}`,
  );
  return Number(row?.n ?? 0);
}

function tell(
  turns: ReadonlyMap<string, readonly Turn[]>,
  postgres: string,
  options: BenchOptions,
): void {
  const rows = [...turns].map(([name, all]) => [name, summary(all)] as const);
  const contenders = Object.fromEntries(rows);
  const own = contenders['muster']?.jobsPerSecond.median ?? Number.NaN;
  const ratios = Object.fromEntries(
    rows
      .filter(([name]) => name !== 'muster' && !Number.isNaN(own))
      .map(([name, { jobsPerSecond }]) => [name, round(own / jobsPerSecond.median)]),
  );
  const report = {
    machine: {
      ...machine(postgres),
      contendersOn: `node ${contendersNode()}`,
      ...Object.fromEntries(['graphile-worker', 'pg-boss'].map((name) => [name, versionOf(name)])),
    },
    rounds: options.rounds,
    contenders,
    ratios,
  };
  if (options.json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`\nmedians of ${options.rounds} rounds, ${JSON.stringify(report.machine)}`);
  for (const [name, one] of rows) {
    const { median: middle, range } = one.jobsPerSecond;
    const latency = one.latencies.map((l) => `${l.perSecond}/s p50 ${l.p50} p99 ${l.p99} ms`);
    console.log(
      `${name.padEnd(17)} ${String(middle).padStart(6)} jobs/s (${range.join(' to ')}); ${latency.join('; ')}`,
    );
  }
  console.log(`muster to each: ${JSON.stringify(ratios)}`);
}

function versionOf(peer: string): string {
  const file = path.join(PEERS, 'node_modules', peer, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function summary(all: readonly Turn[]) {
  const rates = all.map(({ jobsPerSecond }) => jobsPerSecond);
  const latencies = RATES.map((perSecond, i) => {
    const of = (key: 'p50' | 'p99' | 'p999'): number =>
      round(median(all.map((turn) => turn.latencies[i]?.[key] ?? Number.NaN)));
    return { perSecond, p50: of('p50'), p99: of('p99'), p999: of('p999') };
  });
  return {
    jobsPerSecond: {
      median: Math.round(median(rates)),
      range: [Math.min(...rates), Math.max(...rates)],
    },
    latencies,
  };
}
