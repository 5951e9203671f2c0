/**
 * How every connection is made: value types, socket, and server settings. The driver (`postgres`) is
 * imported in `src/db` only.
 *
 * Values: bigint is a number (seq, id and epoch stay far below 2^53), timestamps are canonical strings
 * (`src/reducer/time.ts`), json is parsed on read, bytea is a Buffer. JSON text is passed as
 * `${text}::text::json`: a parameter typed json would be encoded a second time.
 *
 * Sockets are made here because the driver sets no TCP_NODELAY (a small COPY took 44 ms without it),
 * because a dedicated session must never be reconnected behind our back (`session.ts`), and because the driver
 * (postgres 3.4.9) does not end a connection that is not there yet: it would come, as a session that nobody owns.
 */
import net from 'node:net';
import postgres from 'postgres';
import type { UrlVariable } from './errors.ts';
import { readInstant } from './instants.ts';
import { databaseOf, placeOf, serverOf, tlsTarget } from './tls.ts';
import { urlSettings } from './url-settings.ts';
import { wholeRows } from './whole-rows.ts';

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string;
  /** The installation's schema; see `assertSchemaName`. */
  readonly schema: string;
  /** Shown in pg_stat_activity; the role of the connection is appended. */
  readonly name: string;
  /** Where the URL was given, for what is said of it; MUSTER_DATABASE_URL when absent. */
  readonly variable?: UrlVariable;
  /** Sessions that nobody waited for any more, and that a pool of this role asked the server to end. */
  readonly onAbandoned?: (what: { readonly role: string; readonly sessions: number }) => void;
}

const VALUE_TYPES = {
  bigint: { to: 20, from: [20], serialize: String, parse: Number },
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: (time: string) => time,
    parse: readInstant,
  },
};

/**
 * Without `begin`, which undoes its transaction over a connection that is gone (postgres 3.4.9): it writes to no socket, in a
 * callback of its own, and the process ends. See `transaction.ts`; `blocked.ts` has settings and a statement in one message.
 */
export type Sql = postgres.Sql<{ bigint: number; date: string }> & { readonly begin: never };
export type Notice = postgres.Notice;

export interface ClientOptions {
  /** Appended to the application name. */
  readonly role: string;
  readonly max: number;
  /** Server settings of each connection. */
  readonly settings: Readonly<Record<string, string>>;
  readonly onClose?: () => void;
  readonly onNotice?: (notice: Notice) => void;
  /** A connection was made whose session takes no writes: to a standby, or under a setting. */
  readonly onReadOnly?: () => void;
  /** Notifications of channels that this connection listens to. */
  readonly onNotify?: (channel: string) => void;
  /** Connect once, ever: later attempts fail instead of opening another session. */
  readonly oneConnection?: boolean;
  /** Each socket, as it begins to connect. */
  readonly onSocket?: (socket: net.Socket) => void;
}

/** Lower-case, no quoting needed, and short enough for `<schema>_out` and index names (63 bytes). */
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,39}$/;

export function assertSchemaName(schema: string): void {
  // NAME_v1 is another installation's, for the views of NAME.
  if (SCHEMA_NAME.test(schema) && !/^pg_|_v1$|^information_schema$/.test(schema)) return;
  throw new Error(
    `MUSTER_SCHEMA ${JSON.stringify(schema)} is not usable: lower-case letters, digits and _, at most 40, not pg_…, not …_v1 and not information_schema`,
  );
}

/** A connection that takes longer is as good as none: local ones take milliseconds. */
export const CONNECT_TIMEOUT_SECS = 5;

/** A cut cable is noticed by the server in about 5 + 3·2 s; defaults hold a dead client's locks for 2 h. */
const TCP_SETTINGS = {
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '2',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '10000',
} as const;

/**
 * What a server, a database, a login or the URL may have set otherwise, and what we rely on: the driver reads bytea as hex (the log's
 * chain would be continued from garbage), a statement sees what was committed before it, that a standby was not waited for is
 * told by a warning (`confirmed.ts`), rows that a policy hides are an error, not an empty state, and how long a statement may
 * wait for a lock is ours to say: some milliseconds for all would end the leader's terms.
 */
const MEANING_SETTINGS: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  timezone: 'UTC',
  datestyle: 'ISO',
  bytea_output: 'hex',
  array_nulls: 'on',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
  client_min_messages: 'warning',
  row_security: 'off',
  lock_timeout: '0',
};

/**
 * For connections that may have nothing to say for minutes, whatever a login's settings say: of each that we keep. Servers
 * before 14 do not know it, and the doctor is to tell so.
 */
export const STAYS = { idle_session_timeout: '0' } as const;

/** For sessions whose deadline is our own: a login's few milliseconds would blind or end them. */
export const DEADLINE_IS_OURS = { statement_timeout: '0' } as const;

/**
 * Compiling a statement takes the server seconds, again at each call, and ours run for milliseconds: most servers do it
 * where an estimate is high (those of embedded packages cannot, so that no test would notice).
 */
const PLAN_SETTINGS = { jit: 'off' } as const;

/** What a server says by itself when a connection is made. */
const TAKES_NO_WRITES: ReadonlySet<string> = new Set([
  'in_hot_standby',
  'default_transaction_read_only',
]);

/** In the 63 bytes that the server keeps: names of pods differ at their ends. */
function applicationName(given: string, role: string): string {
  const room = 62 - role.length;
  // The server spells anything else out, four characters for each byte, before it cuts.
  const name = given.replaceAll(/[^\x20-\x7e]/g, '?');
  const short = name.length <= room ? name : `${name.slice(0, 15)}~${name.slice(16 - room)}`;
  return `${short}:${role}`;
}

export function openClient(database: DatabaseOptions, options: ClientOptions): Sql {
  assertSchemaName(database.schema);
  const tls = tlsTarget(database.url);
  const { url, settings: asked } = urlSettings(tls.url);
  const sockets = createSockets(serverOf(database.url), options);
  const settings = {
    max: options.max,
    connect_timeout: CONNECT_TIMEOUT_SECS,
    idle_timeout: 0,
    max_lifetime: null,
    // Reconnects at once: pools are retried by their callers, with their own backoff.
    backoff: () => 0.05,
    // Array parameters are passed as literals (`literals.ts`): no catalog query per connection.
    fetch_types: false,
    onnotice: options.onNotice ?? (() => undefined),
    onclose: options.onClose ?? (() => undefined),
    onnotify: options.onNotify ?? (() => undefined),
    onparameter: (name: string, value: unknown) => {
      if (TAKES_NO_WRITES.has(name) && value === 'on') options.onReadOnly?.();
    },
    socket: sockets.open,
    connection: {
      ...asked,
      application_name: applicationName(database.name, options.role),
      search_path: database.schema,
      ...MEANING_SETTINGS,
      ...TCP_SETTINGS,
      ...PLAN_SETTINGS,
      ...options.settings,
    },
    types: VALUE_TYPES,
  };
  const place = placeOf(database.url);
  const name = databaseOf(database.url);
  const client = postgres(url, {
    ...settings,
    ...(tls.ssl === null ? {} : { ssl: tls.ssl }),
    // The driver connects by it where it makes the sockets; here it only calls the server so in its errors, which else
    // name the one of a TLS socket: `undefined:undefined`.
    ...(place === null ? {} : { path: place }),
    ...(name === null ? {} : { database: name }),
  });
  const end = client.end.bind(client);
  client.end = async (how) => {
    try {
      await end(how);
    } finally {
      sockets.close();
    }
  };
  return wholeRows(client) as Sql;
}

interface Target {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

interface Sockets {
  readonly open: (target: Target) => net.Socket;
  /** Those that are left, and none comes after; a goodbye that was just written still goes out. */
  close(): void;
}

/** No statement is sent again on a connection of its own making. */
const CLOSED =
  "the connection was closed from the other side: see whether PostgreSQL, and no balancer without a server, is behind the URL's address, and what its log says";

/**
 * Opens sockets that are still connecting: what the driver writes meanwhile is buffered, and a failure
 * reaches it as an ordinary close. (A factory that rejects would leak the driver's connection slot.)
 */
function createSockets(
  server: Partial<Target>,
  { oneConnection: once = false, onSocket }: ClientOptions,
): Sockets {
  let attempts = 0;
  let isOver = false;
  let opened: readonly net.Socket[] = [];
  return {
    open(target) {
      attempts += 1;
      if (isOver) throw new Error('this session is over; it is never reopened silently');
      if (once && attempts > 1) throw new Error(CLOSED);
      const socket = connect({ ...target, ...server });
      onSocket?.(socket);
      // Not by a listener: the driver takes them all off.
      opened = [...opened.filter(({ destroyed }) => !destroyed), socket];
      return socket;
    },
    close() {
      isOver = true;
      setImmediate(() => {
        for (const socket of opened) socket.destroy();
      });
    },
  };
}

/** To one host: settings refuse a URL with several, which need not be the same server. */
function connect({ host: hosts, port: ports, path }: Target): net.Socket {
  if (typeof path === 'string' && path.startsWith('/')) return net.connect(path);
  const [host = 'localhost'] = hosts;
  const [port = 5432] = ports;
  // host and port are what the driver reads for TLS server names and messages.
  return Object.assign(net.connect({ host, port, noDelay: true }), { host, port });
}
