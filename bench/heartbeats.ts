/**
 * `npm run bench -- heartbeats`: 100,000 hosts that say once a minute that they are alive, while a rollout
 * goes through them fifty at a time: what the leader, the replica and PostgreSQL take of a core.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from './e2e/connection.ts';
import { Host } from './e2e/host.ts';
import { startInstallation, type Installation } from './installation.ts';
import { machine } from './machine.ts';
import { medians, percentiles, round } from './numbers.ts';
import type { BenchOptions } from './options.ts';
import { pace } from './pace.ts';
import { cpuOf, cpuOfFamily, cpuOfMachine, memoryOf } from './usage.ts';

const HOSTS = 100_000;
const EVERY_SECONDS = 60;
const CONNECTIONS = 256;
const IN_FLIGHT = 50;
/** Between two events of a host that moves: fifty of them report some eighty times a second. */
const STEP_MS = 500;
/** After an answer of 503. */
const AGAIN_MS = 1_000;

export async function benchHeartbeats(options: BenchOptions): Promise<void> {
  const hosts = Array.from({ length: HOSTS }, (_, i) => new Host(nameOf(i)));
  const { profile, vs: repository } = options;
  const place = await startInstallation({
    hosts: hosts.map(({ name }) => name),
    processes: ['api', 'leader,workers'],
    ...{ maxInFlight: IN_FLIGHT, soakSeconds: 0, profile, repository },
  });
  const [port = 0] = place.ports;
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS + IN_FLIGHT }, () => Connection.open(port)),
  );
  try {
    const arrivalSeconds = await arrive(hosts, connections);
    const rollout = moveOn(hosts, connections.splice(0, IN_FLIGHT));
    const rounds = [];
    const next = inTurn(hosts);
    for (let turn = 0; turn <= options.rounds; turn += 1) {
      const seen = await measure(place, connections, next, options.seconds, rollout);
      // The first round warms up.
      if (turn > 0) rounds.push(seen);
      if (!options.json) console.log(turn, JSON.stringify(seen));
    }
    await rollout.stop();
    const report = {
      machine: machine(place.postgres.version),
      ...{ hosts: HOSTS, heartbeatsPerSecond: round(HOSTS / EVERY_SECONDS) },
      arrivalsPerSecond: round(HOSTS / arrivalSeconds),
      rounds: options.rounds,
      medians: medians(rounds),
      rssMb: { replica: memoryOf(place.pids[0] ?? 0), leader: memoryOf(place.pids[1] ?? 0) },
    };
    console.log(options.json ? JSON.stringify(report) : report);
  } finally {
    for (const connection of connections) connection.close();
    await place.close();
  }
}

function nameOf(index: number): string {
  return `host-${String(index).padStart(6, '0')}`;
}

/** First contact of all: each is an input. Seconds it took. */
async function arrive(hosts: readonly Host[], connections: readonly Connection[]): Promise<number> {
  const began = performance.now();
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let host = hosts[next++]; host !== undefined; host = hosts[next++]) {
        // 503: shed; an agent says it again.
        while ((await connection.send(host.heartbeat())).status !== 200) await delay(AGAIN_MS);
      }
    }),
  );
  return (performance.now() - began) / 1_000;
}

interface Rollout {
  readonly moved: number;
  stop(): Promise<void>;
}

/** Hosts move in the order in which they are granted, as many at once as the budget lets. */
function moveOn(hosts: readonly Host[], connections: readonly Connection[]): Rollout {
  const state = { next: 0, moved: 0, stopped: false };
  const mover = async (connection: Connection): Promise<void> => {
    while (!state.stopped) {
      const host = hosts[state.next++];
      if (host === undefined) return;
      await host.travel(connection, () => delay(STEP_MS));
      const { status } = await connection.send(host.converge());
      if (status !== 204) throw new Error(`Converged was answered ${status}`);
      state.moved += 1;
    }
  };
  const movers = connections.map(mover);
  return {
    get moved() {
      return state.moved;
    },
    async stop() {
      state.stopped = true;
      await Promise.all(movers);
      for (const connection of connections) connection.close();
    },
  };
}

function inTurn(hosts: readonly Host[]): () => Host {
  let at = 0;
  return () => {
    const host = hosts[at % hosts.length];
    at += 1;
    if (host === undefined) throw new Error('there are no hosts');
    return host;
  };
}

async function measure(
  place: Installation,
  connections: readonly Connection[],
  next: () => Host,
  seconds: number,
  rollout: Rollout,
) {
  const before = look(place, rollout);
  const latencies: number[] = [];
  const idle = [...connections];
  const running: Promise<void>[] = [];
  let others = 0;
  const beat = async (dueAt: number): Promise<void> => {
    const connection = idle.pop() ?? (await Connection.open(place.ports[0] ?? 0));
    const { status } = await connection.send(next().heartbeat());
    if (status === 200) latencies.push(performance.now() - dueAt);
    else others += 1;
    idle.push(connection);
  };
  const perSecond = HOSTS / EVERY_SECONDS;
  await pace(Math.round(perSecond * seconds), perSecond, (dueAt) => running.push(beat(dueAt)));
  await Promise.all(running);
  for (const connection of idle) if (!connections.includes(connection)) connection.close();
  const after = look(place, rollout);
  const share = (of: 'leader' | 'replica' | 'postgres' | 'load' | 'machine'): number =>
    (after[of] - before[of]) / (after.at - before.at);
  const ours = share('leader') + share('replica') + share('postgres') + share('load');
  return {
    ...percentiles(Float64Array.from(latencies)),
    others,
    leaderCpu: round(share('leader')),
    replicaCpu: round(share('replica')),
    postgresCpu: round(share('postgres')),
    loadCpu: round(share('load')),
    strangersCpu: round(Math.max(0, share('machine') - ours)),
    hostsMovedPerSecond: round((after.moved - before.moved) / (after.at - before.at)),
  };
}

function look({ pids, postgres }: Installation, rollout: Rollout) {
  return {
    at: performance.now() / 1_000,
    replica: cpuOf(pids[0] ?? 0),
    leader: cpuOf(pids[1] ?? 0),
    postgres: cpuOfFamily(postgres.pid),
    load: cpuOf(process.pid),
    machine: cpuOfMachine(),
    moved: rollout.moved,
  };
}
