/**
 * `npm run bench -- streams`: 500 streams of the event log on one replica: what they cost while nothing happens,
 * in memory and in CPU of the replica and of PostgreSQL, against the same replica without any; and how long a
 * command takes from its request until the last of them has its row.
 */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { startInstallation, type Installation } from './installation.ts';
import { machine } from './machine.ts';
import { medians, percentiles, round } from './numbers.ts';
import type { BenchOptions } from './options.ts';
import { cpuOf, cpuOfFamily, memoryOf } from './usage.ts';

const STREAMS = 500;
/** Idle streams are looked at every 15 s: two looks at the least, whatever `--seconds` says. */
const LEAST_SECONDS = 30;
const SETTLE_MS = 2_000;
const COMMANDS = 20;
const AS = 'x-muster-dev-identity: operator:bench\r\n';

export async function benchStreams({ json, rounds, seconds }: BenchOptions): Promise<void> {
  const place = await startInstallation({
    hosts: ['host-1'],
    processes: ['api', 'leader,workers'],
  });
  const [port = 0] = place.ports;
  const streams: Stream[] = [];
  const length = Math.max(seconds, LEAST_SECONDS);
  try {
    await command(port, 0);
    await delay(SETTLE_MS);
    const without = await idle(place, length);
    while (streams.length < STREAMS) streams.push(await Stream.open(port));
    await delay(SETTLE_MS);
    const withStreams = await idle(place, length);
    const seen = [];
    for (let turn = 0; turn < rounds; turn += 1) seen.push(await deliver(port, turn, streams));
    const extra = (withStreams.rssMb - without.rssMb) * 1_024;
    const report = {
      machine: machine(place.postgres.version),
      ...{ streams: STREAMS, seconds: length, without, with: withStreams, rounds },
      kilobytesPerStream: round(extra / STREAMS),
      lastHasItsRowMs: medians(seen),
    };
    console.log(json ? JSON.stringify(report) : report);
  } finally {
    for (const stream of streams) stream.close();
    await place.close();
  }
}

/** Shares of one core. */
async function idle({ pids: [replica = 0], postgres }: Installation, seconds: number) {
  const before = [cpuOf(replica), cpuOfFamily(postgres.pid)] as const;
  await delay(seconds * 1_000);
  return {
    rssMb: memoryOf(replica),
    replicaCpu: round((cpuOf(replica) - before[0]) / seconds),
    postgresCpu: round((cpuOfFamily(postgres.pid) - before[1]) / seconds),
  };
}

async function deliver(port: number, turn: number, streams: readonly Stream[]) {
  const times = new Float64Array(COMMANDS);
  for (let i = 0; i < COMMANDS; i += 1) {
    const began = performance.now();
    const reason = `bench ${String(turn)} ${String(i)}`;
    const all = Promise.all(streams.map((stream) => stream.until(reason)));
    await command(port, i + 1, reason);
    times[i] = (await all).reduce((a, b) => Math.max(a, b), 0) - began;
  }
  return percentiles(times);
}

async function command(port: number, number: number, reason = 'bench'): Promise<void> {
  const verb = number % 2 === 0 ? 'pause' : 'resume';
  const response = await fetch(`http://127.0.0.1:${String(port)}/v1/fleet/${verb}`, {
    method: 'POST',
    headers: {
      'x-muster-dev-identity': 'operator:bench',
      'content-type': 'application/json',
      'idempotency-key': `${verb}-${reason.replaceAll(' ', '-')}`,
    },
    body: JSON.stringify({ reason }),
  });
  if (!response.ok) throw new Error(`${verb}: ${String(response.status)} ${await response.text()}`);
}

class Stream {
  private readonly socket: net.Socket;
  private wanted = '';
  private seen: (at: number) => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    let tail = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-10_000);
      if (this.wanted !== '' && tail.includes(this.wanted)) this.seen(performance.now());
    });
    socket.on('error', () => undefined); // closed at the end
  }

  static async open(port: number): Promise<Stream> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const stream = new Stream(socket);
    const begun = once(socket, 'data');
    socket.write(`GET /v1/events/stream HTTP/1.1\r\nhost: 127.0.0.1\r\n${AS}\r\n`);
    await begun;
    return stream;
  }

  /** When a row came that says this. */
  until(reason: string): Promise<number> {
    this.wanted = `"reason":"${reason}"`;
    return new Promise((resolve) => {
      this.seen = resolve;
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
