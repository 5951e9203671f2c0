/**
 * `npm run bench -- polls`: long polls parked on one replica, what they cost in memory, and how long it takes
 * from a host's first heartbeat to the answer of its poll. On that way: the heartbeat's input stored, decided
 * by the leader, the dispatch committed and announced, found among all parked polls, its offer recorded.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from './e2e/connection.ts';
import { Host } from './e2e/host.ts';
import { startInstallation } from './installation.ts';
import { machine } from './machine.ts';
import { medians, percentiles, round } from './numbers.ts';
import type { BenchOptions } from './options.ts';
import { memoryOf } from './usage.ts';

const PARKED = 10_000;
/** Connections opened at once; more would fill the backlog of the listening socket. */
const OPENING = 256;
const POLL_SECONDS = 60;
/** Woken one by one, so that each waits for itself alone. */
const BETWEEN_MS = 50;
/** Until the last of the requests is parked, and what parsing them took is collected. */
const SETTLE_MS = 3_000;

interface Parked {
  readonly host: Host;
  readonly connection: Connection;
  /** When its poll was answered with a dispatch. */
  readonly woken: Promise<number>;
}

export async function benchPolls(options: BenchOptions): Promise<void> {
  const names = Array.from({ length: PARKED }, (_, i) => `host-${String(i).padStart(5, '0')}`);
  const { profile, vs: repository } = options;
  const place = await startInstallation({
    hosts: names,
    processes: ['api', 'leader,workers'],
    ...{ profile, repository },
  });
  const [port = 0] = place.ports;
  const [replica = 0] = place.pids;
  const parked: Parked[] = [];
  try {
    const before = memoryOf(replica);
    await parkAll(names, port, parked);
    await delay(SETTLE_MS);
    const rssMb = memoryOf(replica);
    const speaker = await Connection.open(port);
    const rounds = [];
    for (let turn = 0; turn <= options.rounds; turn += 1) {
      const count = Math.round((options.seconds * 1_000) / BETWEEN_MS);
      const seen = await wake(parked.splice(0, count), speaker);
      // The first round warms up.
      if (turn > 0) rounds.push(seen);
    }
    speaker.close();
    const report = {
      machine: machine(place.postgres.version),
      ...{ parked: PARKED, rssBeforeMb: before, rssMb, rssAfterMb: memoryOf(replica) },
      kilobytesPerPoll: round(((rssMb - before) * 1_024) / PARKED),
      rounds: options.rounds,
      wakeMs: medians(rounds),
    };
    console.log(options.json ? JSON.stringify(report) : report);
  } finally {
    for (const { connection } of parked) connection.close();
    await place.close();
  }
}

async function parkAll(names: readonly string[], port: number, parked: Parked[]): Promise<void> {
  let next = 0;
  const opener = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      const host = new Host(name);
      const connection = await Connection.open(port);
      const woken = untilWoken(host, connection);
      woken.catch(() => undefined); // closed at the end
      parked.push({ host, connection, woken });
    }
  };
  await Promise.all(Array.from({ length: OPENING }, opener));
}

async function untilWoken(host: Host, connection: Connection): Promise<number> {
  for (;;) {
    const { status } = await connection.send(host.poll(POLL_SECONDS));
    if (status === 200) return performance.now();
    if (status !== 204) throw new Error(`a poll was answered ${status}`);
  }
}

/** Milliseconds from a host's first heartbeat to the answer of its poll. */
async function wake(hosts: readonly Parked[], speaker: Connection) {
  const latencies: number[] = [];
  for (const { host, connection, woken } of hosts) {
    const said = performance.now();
    const [at] = await Promise.all([woken, speaker.send(host.heartbeat())]);
    latencies.push(at - said);
    connection.close();
    await delay(BETWEEN_MS);
  }
  return percentiles(Float64Array.from(latencies));
}
