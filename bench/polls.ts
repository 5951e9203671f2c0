/**
 * `npm run bench -- polls`: long polls parked on one replica, what they cost in memory, and how long it takes
 * from a host's first heartbeat to the answer of its poll. On that way: the heartbeat's input stored, decided
 * by the leader, the dispatch committed and announced, found among all parked polls, its offer recorded.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from './e2e/connection.ts';
import { Host } from './e2e/host.ts';
import { startInstallation, type Installation } from './installation.ts';
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
    const rounds: Woken[] = [];
    for (let turn = 0; turn <= options.rounds; turn += 1) {
      const count = Math.round((options.seconds * 1_000) / BETWEEN_MS);
      const seen = await wake(parked.splice(0, count), speaker, place.sql);
      // The first round warms up.
      if (turn > 0) rounds.push(seen);
    }
    speaker.close();
    const report = {
      machine: machine(place.postgres.version),
      ...{ parked: PARKED, rssBeforeMb: before, rssMb, rssAfterMb: memoryOf(replica) },
      kilobytesPerPoll: round(((rssMb - before) * 1_024) / PARKED),
      rounds: options.rounds,
      wakeMs: medians(rounds.map(({ all }) => all)),
      partsMs: {
        /** From the heartbeat to the moment that the leader takes for now when it decides its input. */
        stored: medians(rounds.map(({ stored }) => stored)),
        /** From there to the offer's record: decided, committed, announced, found among all polls. */
        decided: medians(rounds.map(({ decided }) => decided)),
        /** From there to the answer: that record's commit, and the way back. */
        offered: medians(rounds.map(({ offered }) => offered)),
      },
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

type Percentiles = ReturnType<typeof percentiles>;

/** Milliseconds from hosts' first heartbeats to the answers of their polls, and of the parts of that way. */
interface Woken {
  readonly all: Percentiles;
  readonly stored: Percentiles;
  readonly decided: Percentiles;
  readonly offered: Percentiles;
}

async function wake(
  hosts: readonly Parked[],
  speaker: Connection,
  sql: Installation['sql'],
): Promise<Woken> {
  const seen: { readonly name: string; readonly said: number; readonly at: number }[] = [];
  for (const { host, connection, woken } of hosts) {
    const said = performance.now();
    const [at] = await Promise.all([woken, speaker.send(host.heartbeat())]);
    seen.push({ name: host.name, said, at });
    connection.close();
    await delay(BETWEEN_MS);
  }
  const places = await placesOf(sql);
  const parts = seen.map(({ name, said, at }) => {
    const { decidedAt, offeredAt } = places.get(name) ?? { decidedAt: NaN, offeredAt: NaN };
    return [at - said, decidedAt - said, offeredAt - decidedAt, at - offeredAt] as const;
  });
  const part = (i: 0 | 1 | 2 | 3): Percentiles =>
    percentiles(Float64Array.from(parts, (one) => one[i]));
  return { all: part(0), stored: part(1), decided: part(2), offered: part(3) };
}

interface Place {
  readonly hostname: string;
  /** By this process's clock that never jumps: all run on one machine. */
  readonly decidedAt: number;
  readonly offeredAt: number;
}

async function placesOf(sql: Installation['sql']): Promise<Map<string, Place>> {
  const origin = performance.timeOrigin;
  const rows = await sql<Place[]>`
    SELECT hostname, extract(epoch FROM enqueued_at)::float8 * 1000 - ${origin} AS "decidedAt",
      extract(epoch FROM first_offered_at)::float8 * 1000 - ${origin} AS "offeredAt"
    FROM dispatch JOIN dispatch_offer USING (rollout_id, hostname)`;
  return new Map(rows.map((row) => [row.hostname, row]));
}
