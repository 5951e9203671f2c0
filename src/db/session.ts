/**
 * A dedicated connection that is *one* server session from beginning to end: for advisory locks and for
 * the writer, where a silent reconnect would mean work without the lock, or statements outside the
 * transaction they belong to.
 *
 * States: open → over (closed by us, by the server, or by a missed deadline). Nothing runs on it
 * afterwards: the flag falls in the very tick in which the socket goes, and the socket factory refuses a
 * second connection. So a whole transaction may be sent without waiting for each answer.
 */
import { within } from './deadline.ts';
import { openClient, type DatabaseOptions, type Notice, type Sql } from './driver.ts';
import { SessionClosedError } from './errors.ts';

export interface SessionOptions {
  readonly role: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Milliseconds a statement may take before the session is given up. */
  readonly deadlineMs: number;
  readonly onNotice?: (notice: Notice) => void;
  readonly onNotify?: (channel: string) => void;
}

export interface Session {
  /** pg_backend_pid() when it was opened. */
  readonly pid: number;
  readonly open: boolean;
  /** Resolves when the session is over, whoever ended it. */
  readonly over: Promise<void>;
  /** Runs statements on this session or rejects; a missed deadline ends the session. */
  run<T>(statements: (sql: Sql) => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Ends it at once. Safe to call twice. */
  end(): Promise<void>;
}

/** Grace for the goodbye message; then the socket is destroyed. */
const GOODBYE_SECS = 0.2;

export async function openSession(
  database: DatabaseOptions,
  options: SessionOptions,
): Promise<Session> {
  let open = true;
  let markOver: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    markOver = resolve;
  });
  const close = (): void => {
    open = false;
    markOver();
  };
  const sql = openClient(database, {
    role: options.role,
    max: 1,
    settings: options.settings,
    onClose: close,
    oneConnection: true,
    ...(options.onNotice === undefined ? {} : { onNotice: options.onNotice }),
    ...(options.onNotify === undefined ? {} : { onNotify: options.onNotify }),
  });
  const end = async (): Promise<void> => {
    close();
    await sql.end({ timeout: GOODBYE_SECS });
  };
  const run = async <T>(statements: (sql: Sql) => Promise<T>, ms?: number): Promise<T> => {
    if (!open) throw new SessionClosedError(`the ${options.role} session is over`);
    const gone = over.then((): never => {
      throw new SessionClosedError(`the ${options.role} session ended`);
    });
    return within(Promise.race([statements(sql), gone]), ms ?? options.deadlineMs, () => {
      void end();
    });
  };
  try {
    const [row] = await run((on) => on<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`);
    if (row === undefined) throw new SessionClosedError('the server named no backend');
    return { pid: row.pid, over, run, end, get open() { return open; } }; // prettier-ignore
  } catch (error) {
    await end();
    throw error;
  }
}
