/**
 * `npm run bench -- abuse`: how long well-behaved agents wait while somebody else misbehaves. For each attack, in
 * turn: heartbeats at a steady rate without it, then with it; the ratio of their p99. Exit code 1 where the median of
 * the rounds is beyond twice. Attackers share the machine with the replica, so their own work counts against it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Connection } from '../e2e/connection.ts';
import { Host } from '../e2e/host.ts';
import { startInstallation } from '../installation.ts';
import { machine } from '../machine.ts';
import { median, percentiles, round } from '../numbers.ts';
import { chosenOf, type BenchOptions } from '../options.ts';
import { pace } from '../pace.ts';
import { ATTACKS } from './attacks.ts';

const HOSTS = 500;
/** What 6,000 hosts send. */
const PER_SECOND = 100;
/** For an attack to have opened its connections. */
const SETTLE_MS = 2_000;
/** What issue and specification allow. */
const MOST = 2;

interface Seen {
  readonly before: number;
  readonly during: number;
  /** Answers other than 200 meanwhile. */
  readonly refused: number;
}

export async function benchAbuse(options: BenchOptions): Promise<void> {
  const hosts = Array.from({ length: HOSTS }, (_, i) => new Host(`host-${String(i)}`));
  const place = await startInstallation({
    hosts: [...hosts.map(({ name }) => name), 'attacker'],
    ...{ processes: ['api', 'leader,workers'], profile: options.profile },
  });
  const [port = 0] = place.ports;
  const crowd = await Crowd.gather(hosts, port);
  try {
    // Warms up.
    await crowd.beat(options.seconds);
    const found = new Map<string, Seen[]>();
    for (let turn = 0; turn < options.rounds; turn += 1) {
      for (const name of chosenOf([...ATTACKS.keys()], options)) {
        const seen = await under(name, port, crowd, options.seconds);
        if (!options.json) console.log(turn, name, JSON.stringify(seen));
        found.set(name, [...(found.get(name) ?? []), seen]);
      }
    }
    const attacks = [...found].map(([name, rounds]) => summary(name, rounds));
    const report = { machine: machine(place.postgres.version), rounds: options.rounds, attacks };
    console.log(options.json ? JSON.stringify(report) : report);
    if (attacks.some(({ ratio, refused }) => ratio > MOST || refused > 0)) process.exitCode = 1;
  } finally {
    crowd.close();
    await place.close();
  }
}

function summary(name: string, rounds: readonly Seen[]) {
  const of = (read: (seen: Seen) => number): number => round(median(rounds.map(read)));
  return {
    name,
    p99BeforeMs: of(({ before }) => before),
    p99DuringMs: of(({ during }) => during),
    ratio: of(({ before, during }) => during / before),
    refused: Math.max(...rounds.map(({ refused }) => refused)),
  };
}

async function under(name: string, port: number, crowd: Crowd, seconds: number): Promise<Seen> {
  const before = await crowd.beat(seconds);
  const attacker = new Worker(new URL('./attacker.js', import.meta.url), {
    workerData: `${name} ${String(port)}`,
  });
  const failed = new Promise<never>((_, reject) => attacker.once('error', reject));
  try {
    await Promise.race([delay(SETTLE_MS), failed]);
    const during = await Promise.race([crowd.beat(seconds), failed]);
    return { before: before.p99, during: during.p99, refused: during.refused };
  } finally {
    await attacker.terminate();
    await delay(SETTLE_MS);
  }
}

/** The agents that behave. */
class Crowd {
  private readonly hosts: readonly Host[];
  private readonly connections: readonly Connection[];
  private next = 0;

  private constructor(hosts: readonly Host[], connections: readonly Connection[]) {
    this.hosts = hosts;
    this.connections = connections;
  }

  /** Each is heard once: a first heartbeat is an input, unlike those that follow. */
  static async gather(hosts: readonly Host[], port: number): Promise<Crowd> {
    const connections = await Promise.all(Array.from({ length: 50 }, () => Connection.open(port)));
    const rest = [...hosts];
    await Promise.all(
      connections.map(async (connection) => {
        for (let host = rest.pop(); host !== undefined; host = rest.pop())
          await connection.send(host.heartbeat());
      }),
    );
    return new Crowd(hosts, connections);
  }

  async beat(seconds: number): Promise<{ readonly p99: number; readonly refused: number }> {
    const latencies: number[] = [];
    let refused = 0;
    const idle = [...this.connections];
    const waiting: ((free: Connection) => void)[] = [];
    const beat = async (dueAt: number): Promise<void> => {
      const host = this.hosts[this.next++ % this.hosts.length];
      const connection =
        idle.pop() ?? (await new Promise<Connection>((resolve) => waiting.push(resolve)));
      const { status } = await connection.send(host?.heartbeat() ?? '');
      latencies.push(performance.now() - dueAt);
      if (status !== 200) refused += 1;
      const free = waiting.shift();
      if (free === undefined) idle.push(connection);
      else free(connection);
    };
    const running: Promise<void>[] = [];
    await pace(PER_SECOND * seconds, PER_SECOND, (dueAt) => running.push(beat(dueAt)));
    await Promise.all(running);
    return { p99: percentiles(Float64Array.from(latencies)).p99, refused };
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}
