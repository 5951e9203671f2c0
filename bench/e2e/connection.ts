/**
 * One keep-alive HTTP/1.1 connection, one request at a time, read and written by hand: the load generator
 * shares two cores with what it measures, and Node's own client would take more of them than the server.
 */
import net from 'node:net';
import { once } from 'node:events';

export interface Answer {
  readonly status: number;
  /** Header lines, in lower case. */
  readonly head: string;
  readonly body: string;
}

export class Connection {
  private readonly socket: net.Socket;
  private received = '';
  private waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null =
    null;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => {
      this.received = this.received === '' ? data : this.received + data;
      this.read();
    });
    socket.on('error', () => undefined); // close follows
    socket.on('close', () => this.waiting?.reject(new Error('the connection was closed')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Connection(socket);
  }

  send(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private read(): void {
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.received.slice(0, end);
    const status = Number(head.slice(9, 12));
    const length = status === 204 ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.received.length < end + 4 + length) return;
    const body = this.received.slice(end + 4, end + 4 + length);
    this.received = '';
    const waiting = this.waiting;
    this.waiting = null;
    waiting?.resolve({ status, head, body });
  }
}

/** A request as an agent sends it. */
export function requestText(
  method: 'GET' | 'POST',
  path: string,
  hostname: string,
  body?: object,
): string {
  const text = body === undefined ? '' : JSON.stringify(body);
  const content =
    body === undefined
      ? ''
      : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`;
  return (
    `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-nixfleet-protocol: 1\r\n` +
    `x-muster-dev-identity: agent:${hostname}\r\n${content}\r\n${text}`
  );
}
