/**
 * A dedicated connection that is *one* server session from beginning to end: for advisory locks and for
 * the writer, where a silent reconnect would mean work without the lock, or statements outside the
 * transaction they belong to.
 *
 * States: open → over (closed by us, by the server, or by a missed deadline). Nothing runs on it
 * afterwards: the flag falls in the tick in which the socket is closed, what is sent between a reset and
 * that tick goes nowhere and is rejected, and the socket factory refuses a second connection. So a whole transaction may be sent without waiting for each answer.
 */
import type net from 'node:net';
import { isCancelledSync } from './confirmed.ts';
import { within, type Deadline } from './deadline.ts';
import { openClient, type DatabaseOptions, type Sql } from './driver.ts';
import { SessionClosedError } from './errors.ts';
import { makingRoom } from './notifications.ts';

export interface SessionOptions {
  readonly role: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Milliseconds a statement may take before the session is given up. */
  readonly deadlineMs: number;
  readonly onNotify?: (channel: string) => void;
}

export interface Session {
  /** pg_backend_pid() when it was opened. */
  readonly pid: number;
  readonly open: boolean;
  /** Commits so far that the synchronous standby was not waited for. */
  readonly unconfirmed: number;
  /** Bytes that were handed to its connection so far; some may still be on their way. */
  readonly sentBytes: number;
  /** Aborts when the session is over, whoever ended it. */
  readonly over: AbortSignal;
  /** Runs statements on this session or rejects; a missed deadline ends the session. */
  run<T>(statements: (sql: Sql) => Promise<T>, deadline?: Deadline): Promise<T>;
  /** Ends it at once. Safe to call twice; never rejects. */
  end(): Promise<void>;
  /** The same, without waiting for the goodbye. */
  drop(): void;
}

/** Grace for the goodbye message; then the socket is destroyed. */
const GOODBYE_SECS = 0.2;

export async function openSession(
  database: DatabaseOptions,
  options: SessionOptions,
): Promise<Session> {
  let open = true;
  let unconfirmed = 0;
  let socket: net.Socket | undefined;
  const ended = new AbortController();
  const over = ended.signal;
  const close = (): void => {
    open = false;
    ended.abort(new SessionClosedError(`the ${options.role} session is over`));
  };
  const sql = openClient(database, {
    role: options.role,
    max: 1,
    settings: options.settings,
    onClose: close,
    oneConnection: true,
    onSocket: (opened) => {
      socket = opened;
    },
    onNotice: (notice) => {
      if (isCancelledSync(notice)) unconfirmed += 1;
    },
    ...(options.onNotify === undefined ? {} : { onNotify: options.onNotify }),
  });
  const end = async (): Promise<void> => {
    close();
    await sql.end({ timeout: GOODBYE_SECS }).catch(() => undefined);
  };
  const drop = (): void => {
    close();
    sql.end({ timeout: GOODBYE_SECS }).catch(() => undefined);
  };
  const send = async <T>(statements: (sql: Sql) => Promise<T>, deadline?: Deadline): Promise<T> => {
    if (!open) throw new SessionClosedError(`the ${options.role} session is over`);
    return within(whileOpen(statements(sql), over), deadline ?? options.deadlineMs, drop);
  };
  const run: Session['run'] = (statements, ms) => makingRoom(send(statements, ms), send);
  try {
    // What these sessions do takes the time that it takes: it would be cut off without a word. Servers before 17 know no such
    // setting, so that it cannot go with the others.
    const [row] = await run(
      (on) => on<{ pid: number }[]>`SELECT pg_backend_pid() AS pid,
        (SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout')`,
    );
    if (row === undefined) throw new SessionClosedError('the server named no backend');
    return {
      pid: row.pid,
      over,
      run,
      end,
      drop,
      get unconfirmed() {
        return unconfirmed;
      },
      get sentBytes() {
        return socket?.bytesWritten ?? 0;
      },
      get open() {
        return open;
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** `work`, or the session's end. A loose listener per call would pile up on a long session: it is removed. */
async function whileOpen<T>(work: Promise<T>, over: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const gone = new Promise<never>((_, reject) => {
    const fail = (): void => {
      reject(new SessionClosedError('the session ended before it answered'));
    };
    over.addEventListener('abort', fail, { once: true });
    stop = () => {
      over.removeEventListener('abort', fail);
    };
  });
  try {
    return await Promise.race([work, gone]);
  } finally {
    stop();
  }
}
