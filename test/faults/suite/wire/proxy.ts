/**
 * A TCP proxy between one process and its database, which understands the protocol: it can stop a session at
 * an exact statement, and be as bad as a network can be.
 */
import { once } from 'node:events';
import net from 'node:net';
import { Session, type Line, type Moment } from './session.ts';

export interface DatabaseProxy {
  readonly port: number;
  readonly sessions: ReadonlySet<Session>;
  /** Where new sessions go. */
  target: number;
  /** New sessions are accepted, and nothing is forwarded. */
  swallow: boolean;
  readonly line: Line;
  /**
   * Resolves when a session of `role` has run into the statement; it is held then. Rejects when none does: a statement
   * that was written otherwise since must not leave its fault waiting.
   */
  trap(role: string, sql: RegExp, moment: Moment): Promise<Session>;
  /** As if the cable were cut: nothing gets through, nobody is told. */
  holdAll(): void;
  /** Everything is as it should be again: held sessions go on. */
  heal(): void;
  cutAll(): void;
  close(): Promise<void>;
}

/** Under load each of them is said many times a second. */
const TRAP_MS = 60_000;

export async function startProxy(target: number): Promise<DatabaseProxy> {
  const sessions = new Set<Session>();
  const swallowed = new Set<net.Socket>();
  const line: Line = { delayMs: 0, dropNotifications: false, traps: new Set() };
  const state = { target, swallow: false };
  const server = net.createServer({ noDelay: true }, (client) => {
    if (state.swallow) {
      client.on('error', () => undefined);
      client.resume();
      swallowed.add(client);
      return;
    }
    const upstream = net.connect({ port: state.target, host: '127.0.0.1', noDelay: true });
    const session = new Session(client, upstream, line);
    sessions.add(session);
    for (const socket of [client, upstream]) {
      socket.on('close', () => {
        if (!session.open) sessions.delete(session);
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const cutAll = (): void => {
    for (const session of sessions) session.cut();
    for (const socket of swallowed) socket.destroy();
    sessions.clear();
    swallowed.clear();
  };
  return Object.assign(state, {
    port: address.port,
    sessions,
    line,
    trap: (role: string, sql: RegExp, moment: Moment) =>
      new Promise<Session>((spring, reject) => {
        const trap = { role, sql, moment, spring };
        line.traps.add(trap);
        setTimeout(() => {
          if (line.traps.delete(trap))
            reject(new Error(`no ${role} said ${String(sql)} (${moment})`));
        }, TRAP_MS).unref();
      }),
    holdAll() {
      for (const session of sessions) session.hold();
    },
    heal() {
      state.swallow = false;
      Object.assign(line, { delayMs: 0, dropNotifications: false });
      line.traps.clear();
      for (const session of sessions) session.release();
      for (const socket of swallowed) socket.destroy();
      swallowed.clear();
    },
    cutAll,
    close: async () => {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  });
}
