/** Two ways to load: as fast as the answers come, and at a rate that does not care for them. */
import { pace } from '../pace.ts';
import { Connection, type Answer } from './connection.ts';
import { Host } from './host.ts';

/** What a stage saw; latencies in milliseconds. */
export interface Seen {
  readonly answered: number;
  /** Answers other than 204: an event that was not judged in time, or not at all. */
  readonly others: number;
  readonly seconds: number;
  readonly latencies: Float64Array;
}

/** A host with a connection of its own, as agents have. */
export interface Client {
  readonly host: Host;
  readonly connection: Connection;
}

/** Hosts that move at once; more would only queue. */
const MOVING = 256;

export async function openClients(
  ports: readonly number[],
  names: readonly string[],
): Promise<Client[]> {
  const clients = await Promise.all(
    names.map(async (name, i) => ({
      host: new Host(name),
      connection: await Connection.open(ports[i % ports.length] ?? 0),
    })),
  );
  let next = 0;
  const mover = async (): Promise<void> => {
    for (let client = clients[next++]; client !== undefined; client = clients[next++]) {
      await client.host.move(client.connection);
    }
  };
  await Promise.all(Array.from({ length: MOVING }, mover));
  return clients;
}

class Tally {
  private readonly latencies: number[] = [];
  private readonly began = performance.now();
  private others = 0;

  note(answer: Answer, since: number): void {
    if (answer.status !== 204 || answer.head.includes('x-muster-verdict')) this.others += 1;
    else this.latencies.push(performance.now() - since);
  }

  get seen(): Seen {
    return {
      answered: this.latencies.length,
      others: this.others,
      seconds: (performance.now() - this.began) / 1_000,
      latencies: Float64Array.from(this.latencies),
    };
  }
}

/** Each client posts its next event when the last was answered. */
export async function closedLoop(clients: readonly Client[], seconds: number): Promise<Seen> {
  const tally = new Tally();
  const until = performance.now() + seconds * 1_000;
  await Promise.all(
    clients.map(async ({ host, connection }) => {
      for (let sent = performance.now(); sent < until; sent = performance.now()) {
        tally.note(await connection.send(host.probe()), sent);
      }
    }),
  );
  return tally.seen;
}

/**
 * So many events a second, whatever becomes of them. Latency counts from the moment when an event was due,
 * not from when it could be sent: a server that stalls does not hide it.
 */
export async function openLoop(
  clients: readonly Client[],
  perSecond: number,
  seconds: number,
): Promise<Seen> {
  const tally = new Tally();
  const idle = [...clients];
  const due: number[] = [];
  const running: Promise<void>[] = [];
  const serve = async (client: Client): Promise<void> => {
    for (let at = due.shift(); at !== undefined; at = due.shift()) {
      tally.note(await client.connection.send(client.host.probe()), at);
    }
    idle.push(client);
  };
  await pace(Math.round(perSecond * seconds), perSecond, (dueAt) => {
    due.push(dueAt);
    const client = idle.shift();
    if (client !== undefined) running.push(serve(client));
  });
  await Promise.all(running);
  return tally.seen;
}
