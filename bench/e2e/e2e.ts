/**
 * `npm run bench -- e2e`: agents → HTTP → 204 with the verdict. Load generator, server and PostgreSQL share
 * the machine. Every event is validated, decided, durable and in the log before it is answered.
 */
import { median, medians, percentiles, round } from '../numbers.ts';
import { startInstallation, type Installation } from '../installation.ts';
import { chosenOf, type BenchOptions } from '../options.ts';
import { machine, type Machine } from '../machine.ts';
import { cpuOf, cpuOfFamily, cpuOfMachine } from '../usage.ts';
import { closedLoop, openClients, openLoop, type Client, type Seen } from './load.ts';

const CLOSED = [16, 64, 256, 1_024];
const OPEN = [100, 1_000, 5_000];
/** As many as the widest closed loop; at 5,000 a second each reports five times a second. */
const HOSTS = 1_024;
const WARM_UP_SECONDS = 3;

/** Milliseconds; CPU as shares of one core. */
interface Measured {
  readonly eventsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly others: number;
  readonly serverCpu: number;
  readonly postgresCpu: number;
  readonly loadCpu: number;
  /** CPU of one event in microseconds: of all numbers the one that a busy machine changes least. */
  readonly serverMicros: number;
  readonly postgresMicros: number;
  /** Of the machine, by processes that are no part of this. */
  readonly strangersCpu: number;
  readonly walBytesPerEvent: number;
  readonly logRowsPerEvent: number;
}

interface Stage {
  readonly name: string;
  run(clients: readonly Client[], seconds: number): Promise<Seen>;
}

const STAGES: readonly Stage[] = [
  ...CLOSED.map((connections) => ({
    name: `closed-${connections}`,
    run: (clients: readonly Client[], seconds: number) =>
      closedLoop(clients.slice(0, connections), seconds),
  })),
  ...OPEN.map((perSecond) => ({
    name: `open-${perSecond}`,
    run: (clients: readonly Client[], seconds: number) => openLoop(clients, perSecond, seconds),
  })),
];

/** `serverCpuOfEach`: the same of every server process, in the order of its roles. */
type Stages = Readonly<
  Record<
    string,
    Measured & { readonly range: readonly number[]; readonly serverCpuOfEach: readonly number[] }
  >
>;

interface Round {
  readonly measured: Measured;
  readonly each: readonly number[];
}

const COMPARED = [
  'eventsPerSecond',
  'p50',
  'p99',
  'serverMicros',
  'postgresMicros',
  'walBytesPerEvent',
] as const;

interface Report {
  readonly machine: Machine;
  readonly rounds: number;
  readonly stages: Stages;
  /** Of the build that `--vs` names, and this one's numbers by theirs. */
  readonly former?: Stages;
  readonly ratios?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

interface Contender {
  readonly name: 'now' | 'former';
  readonly place: Installation;
  readonly clients: readonly Client[];
  readonly rounds: ReadonlyMap<string, Round[]>;
}

/** `processes` names the roles of each server process. */
export async function benchE2e(
  options: BenchOptions,
  processes: readonly string[] = ['api,leader,workers'],
): Promise<void> {
  const names = STAGES.map(({ name }) => name);
  const chosen = chosenOf(names, options);
  const stages = STAGES.filter(({ name }) => chosen.includes(name));
  const contenders = [await contender('now', null, stages, options, processes)];
  try {
    const { vs } = options;
    if (vs !== null) contenders.push(await contender('former', vs, stages, options, processes));
    for (let turn = 1; turn <= options.rounds; turn += 1) {
      for (const stage of stages) {
        for (const { name, place, clients, rounds } of contenders) {
          const round = await measure(place, () => stage.run(clients, options.seconds));
          rounds.get(stage.name)?.push(round);
          if (!options.json) print(`${turn} ${name} ${stage.name}`, round.measured);
        }
      }
    }
    tell(reportOf(contenders, options), options);
  } finally {
    for (const { place, clients } of contenders) {
      for (const { connection } of clients) connection.close();
      await place.close();
    }
  }
}

async function contender(
  name: Contender['name'],
  repository: string | null,
  stages: readonly Stage[],
  { profile }: BenchOptions,
  processes: readonly string[],
): Promise<Contender> {
  const hosts = Array.from({ length: HOSTS }, (_, i) => `host-${String(i + 1).padStart(4, '0')}`);
  const place = await startInstallation({ hosts, processes, repository, profile });
  try {
    const clients = await openClients(place.ports, hosts);
    await closedLoop(clients, WARM_UP_SECONDS);
    return { name, place, clients, rounds: new Map(stages.map((stage) => [stage.name, []])) };
  } catch (error) {
    await place.close();
    throw error;
  }
}

async function measure(place: Installation, stage: () => Promise<Seen>): Promise<Round> {
  const before = await look(place);
  const seen = await stage();
  const after = await look(place);
  const events = seen.answered;
  const wall = after.at - before.at;
  const share = (of: 'server' | 'postgres' | 'load' | 'machine'): number =>
    (after[of] - before[of]) / wall;
  const ours = share('server') + share('postgres') + share('load');
  const measured = {
    eventsPerSecond: Math.round(events / seen.seconds),
    ...percentiles(seen.latencies),
    others: seen.others,
    serverCpu: round(share('server')),
    postgresCpu: round(share('postgres')),
    loadCpu: round(share('load')),
    serverMicros: round(((after.server - before.server) / events) * 1e6),
    postgresMicros: round(((after.postgres - before.postgres) / events) * 1e6),
    strangersCpu: round(Math.max(0, share('machine') - ours)),
    walBytesPerEvent: Math.round((after.wal - before.wal) / events),
    logRowsPerEvent: round((after.rows - before.rows) / events),
  };
  const each = after.each.map((cpu, i) => round((cpu - (before.each[i] ?? 0)) / wall));
  return { measured, each };
}

async function look({ sql, pids, postgres }: Installation) {
  const [row] = await sql<{ wal: string; rows: string }[]>`
    SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal, coalesce(max(seq), 0) AS rows FROM event_log`;
  const each = pids.map(cpuOf);
  return {
    at: performance.now() / 1_000,
    wal: Number(row?.wal ?? 0),
    rows: Number(row?.rows ?? 0),
    each,
    server: each.reduce((a, b) => a + b, 0),
    postgres: cpuOfFamily(postgres.pid),
    load: cpuOf(process.pid),
    machine: cpuOfMachine(),
  };
}

function reportOf(contenders: readonly Contender[], { rounds: count }: BenchOptions): Report {
  const [now, former] = contenders;
  const version = now?.place.postgres.version ?? '';
  const stages = stagesOf(now);
  const report = { machine: machine(version), rounds: count, stages };
  if (former === undefined) return report;
  const others = stagesOf(former);
  const ratios = Object.entries(stages).map(([name, stage]) => {
    const other = others[name] ?? stage;
    const ratio = (key: (typeof COMPARED)[number]): number => round(stage[key] / other[key]);
    return [name, Object.fromEntries(COMPARED.map((key) => [key, ratio(key)] as const))] as const;
  });
  return { ...report, former: others, ratios: Object.fromEntries(ratios) };
}

function stagesOf(contender: Contender | undefined): Stages {
  const stages = [...(contender?.rounds ?? [])].map(([name, rounds]) => {
    const all = rounds.map(({ measured }) => measured);
    const [first] = rounds;
    const serverCpuOfEach = (first?.each ?? []).map((_, i) =>
      round(median(rounds.map(({ each }) => each[i] ?? 0))),
    );
    const rates = all.map(({ eventsPerSecond }) => eventsPerSecond);
    const middle = { ...medians(all), eventsPerSecond: Math.round(median(rates)) };
    const range = [Math.min(...rates), Math.max(...rates)];
    return [name, { ...middle, range, serverCpuOfEach }] as const;
  });
  return Object.fromEntries(stages);
}

function tell(report: Report, { json }: BenchOptions): void {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`\nmedians of ${report.rounds} rounds, ${JSON.stringify(report.machine)}`);
  for (const [name, stage] of Object.entries(report.stages)) {
    print(name, stage);
    const each = stage.serverCpuOfEach.join(' and ');
    console.log(
      `${' '.repeat(24)}range ${stage.range.join(' to ')} events/s, CPU of each: ${each}`,
    );
    const former = report.former?.[name];
    if (former === undefined) continue;
    print('former', former);
    console.log(`${' '.repeat(24)}this to the former: ${JSON.stringify(report.ratios?.[name])}`);
  }
}

function print(name: string, m: Measured): void {
  const cpu = `CPU server ${m.serverCpu} (${m.serverMicros} µs/event), PostgreSQL ${m.postgresCpu} (${m.postgresMicros} µs), load ${m.loadCpu}, strangers ${m.strangersCpu}`;
  console.log(
    `${name.padEnd(23)} ${String(m.eventsPerSecond).padStart(6)} events/s, ms p50 ${m.p50} p99 ${m.p99} p99.9 ${m.p999} max ${m.max}; ` +
      `${cpu}; ${m.walBytesPerEvent} B WAL, ${m.logRowsPerEvent} log rows/event` +
      (m.others === 0 ? '' : `; ${m.others} without a verdict`),
  );
}
