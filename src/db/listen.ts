/**
 * One listening connection per process, for the installation's two channels: `<schema>_in` wakes the
 * leader, `<schema>_out` wakes replicas. Payloads are empty.
 *
 * A notification is a hint: everyone who listens is also called once after every (re)connect, since what
 * happened in between was missed, and polls besides. So losing this connection costs latency, never work.
 *
 * What stands between may take LISTEN and pass nothing on, as poolers do. Each connection therefore notifies itself once:
 * the server sends a session's own notification before the next answer, so there is nothing to wait for.
 */
import type { Logger } from '../telemetry.ts';
import { backoffMs, pause, type Random } from './backoff.ts';
import { DEADLINE_IS_OURS, STAYS, type DatabaseOptions } from './driver.ts';
import { databaseProblem, isContended } from './errors.ts';
import { openSession, type Session } from './session.ts';

export type Channel = 'in' | 'out';

export interface Listener {
  /** Calls `wake` on every notification and after every connect; returns how to stop. */
  on(channel: Channel, wake: () => void): () => void;
  readonly connected: boolean;
  stop(): Promise<void>;
}

export interface ListenerOptions {
  readonly logger: Logger;
  readonly random: Random;
  /** Called with every change: do notifications arrive? */
  readonly onHearing?: (hears: boolean) => void;
}

/** A half-open socket is noticed by the first ping that is not answered. */
const PING_EVERY_MS = 5_000;
const DEADLINE_MS = 3_000;
/** Whose notification waits so long is behind a commit that hangs; the server would keep it, and its session, as long. */
const NOTIFY_MS = 2_000;
const BACKOFF = { firstMs: 50, maxMs: 2_000 } as const;

export function startListener(database: DatabaseOptions, options: ListenerOptions): Listener {
  const wakes: Record<Channel, Set<() => void>> = { in: new Set(), out: new Set() };
  const stopping = new AbortController();
  const state = { connected: false };
  const wakeAll = (channel: Channel): void => {
    for (const wake of wakes[channel]) wake();
  };
  const heard = new Set<string>();
  const onNotify = (name: string): void => {
    if (name.startsWith(selfChannel(database.schema, ''))) heard.add(name);
    else wakeAll(name === channelName(database.schema, 'in') ? 'in' : 'out');
  };
  const running = keepListening(
    database,
    options,
    stopping.signal,
    { onNotify, heard },
    (connected) => {
      state.connected = connected;
      if (!connected) {
        options.onHearing?.(false);
        return;
      }
      wakeAll('in');
      wakeAll('out');
    },
  );
  return {
    on(channel, wake) {
      wakes[channel].add(wake);
      return () => wakes[channel].delete(wake);
    },
    get connected() {
      return state.connected;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

export function channelName(schema: string, channel: Channel): string {
  return `${schema}_${channel}`;
}

/** Nobody else listens to it. */
function selfChannel(schema: string, pid: number | ''): string {
  return `${schema}_self_${String(pid)}`;
}

interface Ear {
  readonly onNotify: (name: string) => void;
  /** Own channels that something arrived on. */
  readonly heard: Set<string>;
}

async function keepListening(
  database: DatabaseOptions,
  options: ListenerOptions,
  signal: AbortSignal,
  { onNotify, heard }: Ear,
  onChange: (connected: boolean) => void,
): Promise<void> {
  const { logger, random } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const session = await openSession(database, {
        role: 'listen',
        // Its one write is the notification to itself, which need not wait for a disk or a standby.
        settings: {
          synchronous_commit: 'off',
          lock_timeout: String(NOTIFY_MS),
          ...STAYS,
          ...DEADLINE_IS_OURS,
        },
        deadlineMs: DEADLINE_MS,
        onNotify,
      });
      try {
        await listenOn(session, database.schema);
        onChange(true);
        tell(options, await hearsItself(session, selfChannel(database.schema, session.pid), heard));
        failures = 0;
        await pingUntilOver(session, signal);
      } finally {
        await session.end();
      }
    } catch (error) {
      if (failures === 0) logger.warn({ problem: databaseProblem(error) }, 'not listening');
      failures += 1;
    }
    onChange(false);
    await pause(backoffMs(BACKOFF, failures, random), signal);
  }
}

async function listenOn(session: Session, schema: string): Promise<void> {
  await session.run(async (sql) => {
    await sql`LISTEN ${sql(channelName(schema, 'in'))}`;
    await sql`LISTEN ${sql(channelName(schema, 'out'))}`;
  });
}

async function hearsItself(
  session: Session,
  channel: string,
  heard: Set<string>,
): Promise<boolean> {
  heard.clear();
  try {
    await session.run(async (sql) => {
      await sql`LISTEN ${sql(channel)}`;
      await sql`SELECT pg_notify(${channel}, '')`;
      await sql`UNLISTEN ${sql(channel)}`;
    });
  } catch (error) {
    // Nobody's notification is committed just now, and nothing is known against the way.
    if (isContended(error)) return true;
    throw error;
  }
  return heard.has(channel);
}

function tell({ logger, onHearing }: ListenerOptions, hears: boolean): void {
  onHearing?.(hears);
  if (hears) return;
  logger.warn(
    {},
    'notifications do not arrive, and everything waits for the next poll: is there a pooler? give the URL of PostgreSQL itself',
  );
}

async function pingUntilOver(session: Session, signal: AbortSignal): Promise<void> {
  const quiet = AbortSignal.any([signal, session.over]);
  for (;;) {
    await pause(PING_EVERY_MS, quiet);
    if (quiet.aborted) return;
    await session.run((sql) => sql`SELECT 1`);
  }
}
