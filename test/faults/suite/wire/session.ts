/**
 * One session through the proxy: what its client says is followed statement by statement, so that it can be
 * stopped at an exact one. Held traffic is kept, in order, and goes on when it is released: what a network
 * does that comes back. Nothing is changed on the way, but notifications may be left out.
 */
import type net from 'node:net';
import { CONTENTS, Framer, startupParameter, strings, type Message } from './messages.ts';
import { reset } from './reset.ts';

/**
 * Where to stop a statement: not yet forwarded, forwarded but unanswered, answered but not told. `described`: new to its
 * session, which has asked what it takes and not been told, so that it is not executed yet.
 */
export type Moment = 'before' | 'sent' | 'answered' | 'described';

export interface Trap {
  /** The role that is appended to the application name: `writer`, `leader-lock`, `enqueue`, … */
  readonly role: string;
  readonly sql: RegExp;
  readonly moment: Moment;
  readonly spring: (session: Session) => void;
}

/** What sessions of one proxy have in common, and may change at any time. */
export interface Line {
  /** Milliseconds that every byte is late, each way. */
  delayMs: number;
  dropNotifications: boolean;
  /** Each is sprung once. */
  readonly traps: Set<Trap>;
}

interface Execution {
  readonly answered: Trap | null;
}

export class Session {
  /** What follows the colon of its application name; empty until it is known. */
  role = '';
  /** Of the backend that serves it, as pg_stat_activity has it; 0 until it is known. */
  pid = 0;
  private readonly client: net.Socket;
  private readonly server: net.Socket;
  private readonly line: Line;
  private readonly statements = new Map<string, string>();
  /** Statements whose ReadyForQuery has not come; the first is the start-up. */
  private readonly executions: Execution[] = [{ answered: null }];
  private toServer: Message[] | null = null;
  private toClient: Message[] | null = null;
  private answer: Message[] = [];
  private sql = '';
  private answered: Trap | null = null;
  private sent: Trap | null = null;
  /** What is held back on the way to a socket, in order. */
  private readonly late = new Map<net.Socket, Buffer[]>();
  private clientEnded = false;
  private serverEnded = false;

  constructor(client: net.Socket, server: net.Socket, line: Line) {
    this.client = client;
    this.server = server;
    this.line = line;
    const fromClient = new Framer(true);
    const fromServer = new Framer(false);
    client.on('data', (chunk: Buffer) => {
      for (const message of fromClient.push(chunk)) this.fromClient(message);
    });
    server.on('data', (chunk: Buffer) => {
      for (const message of fromServer.push(chunk)) this.fromServer(message);
    });
    for (const socket of [client, server]) socket.on('error', () => undefined); // close follows
    client.on('close', () => {
      this.clientEnded = true;
      if (this.toServer === null) this.server.destroy();
    });
    server.on('close', () => {
      this.serverEnded = true;
      if (this.toClient === null) this.client.destroy();
    });
  }

  get open(): boolean {
    return !this.clientEnded || !this.serverEnded;
  }

  /** From now on nothing gets through, and neither side is told. */
  hold(): void {
    this.toServer ??= [];
    this.toClient ??= [];
  }

  /** What was held goes on its way, in order; so does a side's end. */
  release(): void {
    const [toServer, toClient] = [this.toServer ?? [], this.toClient ?? []];
    this.toServer = null;
    this.toClient = null;
    for (const message of toServer) this.fromClient(message);
    for (const message of toClient) this.fromServer(message);
    const again = this.held(); // on the way one may have run into the next trap
    if (this.clientEnded && !again.toServer) this.server.end();
    if (this.serverEnded && !again.toClient) this.client.end();
  }

  private held(): { readonly toServer: boolean; readonly toClient: boolean } {
    return { toServer: this.toServer !== null, toClient: this.toClient !== null };
  }

  /** Both sides see a reset; what was held is lost. */
  cut(): void {
    this.toServer = null;
    this.toClient = null;
    reset(this.client);
    reset(this.server);
  }

  /** The server sees the session end; the client sees nothing any more. */
  cutServerSide(): void {
    this.hold();
    reset(this.server);
  }

  private fromClient(message: Message): void {
    if (this.toServer !== null) {
      this.toServer.push(message);
      return;
    }
    const trap = this.follow(message);
    if (trap?.moment === 'before') {
      this.hold();
      this.toServer = [message];
      trap.spring(this);
      return;
    }
    this.pass(this.server, message);
    if (message.type === 'S' || message.type === 'Q') this.ended();
    if (trap?.moment !== 'described') return;
    this.hold();
    trap.spring(this);
  }

  /** Notes what the message means; the trap that its statement runs into. */
  private follow(message: Message): Trap | null {
    switch (message.type) {
      case '':
        this.role = startupParameter(message, 'application_name')?.split(':').pop() ?? '';
        return null;
      case 'P': {
        const [name = '', sql = ''] = strings(message, CONTENTS, 2);
        this.statements.set(name, sql);
        this.sql = sql;
        return null;
      }
      case 'H':
        return this.trapped(true);
      case 'B':
        this.sql = this.statements.get(strings(message, CONTENTS, 2)[1] ?? '') ?? '';
        return null;
      case 'Q':
        this.sql = strings(message, CONTENTS, 1)[0] ?? '';
        return this.trapped(false);
      case 'E':
        return this.trapped(false);
      default:
        return null;
    }
  }

  private trapped(isDescribed: boolean): Trap | null {
    for (const trap of this.line.traps) {
      if ((trap.moment === 'described') !== isDescribed) continue;
      if (trap.role !== this.role || !trap.sql.test(this.sql)) continue;
      this.line.traps.delete(trap);
      if (trap.moment === 'answered') this.answered = trap;
      if (trap.moment === 'sent') this.sent = trap;
      return trap;
    }
    return null;
  }

  /** A statement is on its way, whole. */
  private ended(): void {
    this.executions.push({ answered: this.answered });
    this.answered = null;
    const { sent } = this;
    this.sent = null;
    if (sent === null) return;
    this.hold();
    sent.spring(this);
  }

  private fromServer(message: Message): void {
    if (this.toClient !== null) {
      this.toClient.push(message);
      return;
    }
    if (message.type === 'A' && this.line.dropNotifications) return;
    if (message.type === 'K') this.pid = message.bytes.readUInt32BE(CONTENTS);
    const trap = this.executions[0]?.answered ?? null;
    if (trap !== null) this.answer.push(message);
    if (message.type === 'Z') this.executions.shift();
    if (trap === null) this.pass(this.client, message);
    else if (message.type === 'Z') {
      this.hold();
      this.toClient = this.answer;
      this.answer = [];
      trap.spring(this);
    }
  }

  private pass(socket: net.Socket, { bytes }: Message): void {
    const { delayMs } = this.line;
    const late = this.late.get(socket) ?? [];
    if (delayMs === 0 && late.length === 0) {
      socket.write(bytes);
      return;
    }
    late.push(bytes);
    this.late.set(socket, late);
    // In order, though a delay that is shorter now is over before the one that is waited for: no message overtakes.
    setTimeout(() => {
      const first = late.shift();
      if (first !== undefined && socket.writable) socket.write(first);
    }, delayMs);
  }
}
