/** Bodies cost this process neither more time nor more memory than they are worth, whoever sends them. */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from './support/fakes.ts';

let replica: Replica;
let port: number;
/** Of each connection that ended: what the server read. */
let read: number[] = [];
const senders = new Set<net.Socket>();

beforeAll(async () => {
  const { url } = await createTestDatabase();
  replica = await startReplica(url, { requestTimeoutMs: 60_000 });
  port = Number(new URL(await replica.api.listen('127.0.0.1', 0)).port);
  replica.api.app.server.on('connection', (socket: net.Socket) => {
    socket.once('close', () => read.push(socket.bytesRead));
  });
});
afterEach(async () => {
  for (const sender of senders) sender.destroy();
  senders.clear();
  await eventually(heldBytes).toBe(0);
  read = [];
});
afterAll(() => replica.stop());

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

const heldBytes = () => metric('muster_api_body_bytes');

interface Sent {
  readonly socket: net.Socket;
  /** What came back until the connection ended. */
  readonly said: Promise<string>;
}

/** Sends this, and leaves the rest of the request open. */
function send(request: string, as: string | null, body: string): Sent {
  const socket = net.connect(port, '127.0.0.1');
  senders.add(socket);
  const identity = as === null ? '' : `x-muster-dev-identity: ${as}\r\n`;
  socket.on('error', () => undefined); // cut off while sending
  const said = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString()));
    socket.once('close', () => resolve(text));
  });
  socket.write(
    `${request} HTTP/1.1\r\nhost: muster\r\n${identity}content-type: application/json\r\n`,
  );
  socket.write(body);
  return { socket, said };
}

/** An event that is answered. */
async function post(as: string, padding: number, chunk?: number): Promise<number> {
  const text = JSON.stringify({ hostname: as.split(':')[1], padding: 'x'.repeat(padding) });
  const encoded =
    chunk === undefined
      ? `content-length: ${String(text.length)}\r\n\r\n${text}`
      : `transfer-encoding: chunked\r\n\r\n${chunksOf(text, chunk)}0\r\n\r\n`;
  const { socket } = send('POST /v1/agent/events', as, encoded);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return Number(answer.toString().slice(9, 12));
}

function chunksOf(text: string, size: number): string {
  let chunks = '';
  for (let at = 0; at < text.length; at += size) {
    const chunk = text.slice(at, at + size);
    chunks += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return chunks;
}

describe('a body in tiny pieces', () => {
  const TINY = `transfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(260_000)}0\r\n\r\n`;

  it.each([
    ['POST /v1/agent/events', 'agent:web-01', 400],
    ['POST /v1/agent/heartbeat', 'agent:web-01', 400],
    ['POST /v1/agent/renew', 'agent:web-01', 400],
    ['POST /v1/fleet/pause', 'operator:ada', 400],
    ['GET /v1/agent/dispatch?wait=30', 'agent:web-01', 400],
    ['POST /v1/enroll', null, 400],
    ['POST /nowhere', null, 404],
    ['POST /v1/agent/events', null, 401],
    ['POST /v1/agent/events', 'operator:ada', 403],
    ['GET /healthz', null, 200],
  ])('is not read on: %s as %s', async (request, as, status) => {
    const answer = await send(request, as, TINY).said;
    // A connection that is reset may take its answer with it.
    expect(answer === '' ? status : Number(answer.slice(9, 12))).toBe(status);
    await eventually(() => read.length).toBe(1);
    // Two reads of the server at the most; it would be 1.5 MB.
    expect(read[0]).toBeLessThan(200_000);
  });

  it('is taken where it is none of a thousand, or pieces are as large as packets', async () => {
    expect(await post('agent:web-01', 900, 1)).toBe(204);
    expect(await post('agent:web-01', 200_000, 500)).toBe(204);
  });
});

describe('bodies that are never whole', () => {
  const LARGE = 250_000;
  const HALF = `content-length: 260000\r\n\r\n{"padding":"${'x'.repeat(LARGE)}`;
  const hold = (as: string): Sent => send('POST /v1/agent/events', as, HALF);

  it('of one caller take a share, beyond which only that caller is refused, and only large ones', async () => {
    const held = Array.from({ length: 40 }, () => hold('agent:greedy'));
    const refused = (await Promise.race(held.map(({ said }) => said))).toLowerCase();
    expect(refused).toMatch(/^http\/1.1 503 /);
    expect(refused).toMatch(/\r\nretry-after: \d+\r\n/);
    expect(refused).toMatch(/\r\nconnection: close\r\n/);
    expect(refused).toContain('application/problem+json');
    expect(await heldBytes()).toBeLessThan(8.5 * 1024 * 1024);
    expect(await metric('muster_api_shed_total{why="bodies-of-one"}')).toBeGreaterThan(0);
    expect(await post('agent:greedy', 500)).toBe(204);
    expect(await post('agent:web-02', 100_000)).toBe(204);
    for (const { socket } of held) socket.destroy();
    await eventually(heldBytes).toBe(0);
    expect(await post('agent:greedy', 100_000)).toBe(204);
  });

  it('of all callers are bounded, and what is small passes', async () => {
    const held = Array.from({ length: 280 }, (_, n) => hold(`agent:web-${String(n)}`));
    const refused = await Promise.race(held.map(({ said }) => said));
    expect(refused).toMatch(/^HTTP\/1.1 503 /);
    expect(await heldBytes()).toBeLessThan(65 * 1024 * 1024);
    expect(await metric('muster_api_shed_total{why="bodies"}')).toBeGreaterThan(0);
    expect(await post('agent:other', 500)).toBe(204);
    for (const { socket } of held) socket.destroy();
    await eventually(heldBytes).toBe(0);
    expect(await post('agent:other', 100_000)).toBe(204);
  });

  it('larger than anybody keeps are read to their end all the same', async () => {
    expect(await post('agent:web-01', 12_000_000)).toBe(204);
  });
});
