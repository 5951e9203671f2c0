/** What somebody with a network and no manners does to a replica, each at a rate that one machine reaches easily. */
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { requestText } from '../e2e/connection.ts';

/** Runs until `signal` aborts. */
export type Attack = (port: number, signal: AbortSignal) => Promise<void>;

const SILENT = 10_000;
const SLOW = 1_000;
/** A byte each: the server's patience for a whole request is ten of these. */
const DRIP_MS = 1_000;
const FLOODS_PER_SECOND = 50;
const MALICE_PER_SECOND = 20;
const DEPTH = 400_000;

export const ATTACKS: ReadonlyMap<string, Attack> = new Map<string, Attack>([
  ['silent', (port, signal) => hold(SILENT, port, null, signal)],
  ['slow-heads', (port, signal) => hold(SLOW, port, 'GET /healthz HTTP/1.1\r\nx-slow: ', signal)],
  ['slow-bodies', (port, signal) => hold(SLOW, port, slowBody(), signal)],
  ['header-floods', (port, signal) => shoot(FLOODS_PER_SECOND, port, flood, signal)],
  ['deep-arrays', (port, signal) => shoot(MALICE_PER_SECOND, port, deep, signal)],
  ['odd-values', (port, signal) => shoot(MALICE_PER_SECOND, port, odd, signal)],
  ['strangers', (port, signal) => shoot(FLOODS_PER_SECOND, port, stranger, signal)],
]);

function slowBody(): string {
  const head = requestText('POST', '/v1/agent/events', 'attacker');
  return head.replace(
    '\r\n\r\n',
    '\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"',
  );
}

const flood = (): string =>
  `GET /healthz HTTP/1.1\r\nhost: x\r\n${'x-a: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(2_000)}\r\n`;
const deep = (): string => posted('/v1/agent/events', `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`);
const stranger = (): string => posted('/v1/enroll', `{"token":${'['.repeat(200_000)},"csrPem":""}`);
const odd = (): string =>
  posted(
    '/v1/agent/events',
    `{"__proto__":{"a":1},"hostname":"attacker","rolloutId":"\\ud800","event":{"kind":"ProbeResult","seq":1e999,"failureReason":"${'\\udfff'.repeat(20_000)}"}}`,
  );

/** As some agent, whose own rate it is. */
function posted(path: string, body: string): string {
  const head = requestText('POST', path, 'attacker').replace('\r\n\r\n', '\r\n');
  return `${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** So many connections that say `beginning`, then a byte at a time; or nothing. Each is opened again when it is cut off. */
async function hold(
  count: number,
  port: number,
  beginning: string | null,
  signal: AbortSignal,
): Promise<void> {
  const open = new Set<net.Socket>();
  while (!signal.aborted) {
    for (let more = Math.min(count - open.size, 200); more > 0; more -= 1) {
      const socket = net.connect(port, '127.0.0.1');
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      socket.resume();
      if (beginning !== null) socket.write(beginning);
    }
    if (beginning !== null) for (const socket of open) socket.write('x');
    await delay(open.size < count ? DRIP_MS / 20 : DRIP_MS, undefined, { signal }).catch(
      () => null,
    );
  }
  for (const socket of open) socket.destroy();
}

/** So many requests a second, each over a connection of its own, whatever is answered. */
async function shoot(
  perSecond: number,
  port: number,
  made: () => string,
  signal: AbortSignal,
): Promise<void> {
  const text = made();
  while (!signal.aborted) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.once('data', () => socket.destroy());
    socket.write(text);
    await delay(1_000 / perSecond, undefined, { signal }).catch(() => null);
  }
}
