/**
 * Ordinary statements, each its own transaction, over a few connections that may come and go.
 *
 * Failure behaviour: a statement that the server finds slow is cancelled by the server
 * (`statement_timeout`); an answer that does not come at all means a half-open socket, so the whole pool is
 * replaced and its callers get an error. Nothing is retried here: only the caller knows what a repeat does.
 * No transactions either: see `Sql`. Use `transaction.ts`.
 */
import { isCancelledSync } from './confirmed.ts';
import { within } from './deadline.ts';
import { openClient, STAYS, type DatabaseOptions, type Sql } from './driver.ts';
import { makingRoom } from './notifications.ts';

export interface PoolOptions {
  readonly role: string;
  readonly max: number;
  /** Milliseconds until the server gives a statement up. */
  readonly statementMs: number;
}

export interface Pool {
  /** One or more statements; each is its own transaction. */
  run<T>(statements: (sql: Sql) => Promise<T>): Promise<T>;
  /** Commits so far that the synchronous standby was not waited for. */
  readonly unconfirmed: number;
  end(): Promise<void>;
}

/** How much longer than the server we wait: a cancelled statement answers within a round trip. */
const SLACK_MS = 2_000;
const GOODBYE_SECS = 1;

export function createPool(database: DatabaseOptions, options: PoolOptions): Pool {
  const open = (): Sql =>
    openClient(database, {
      role: options.role,
      max: options.max,
      settings: { statement_timeout: String(options.statementMs), ...STAYS },
      onNotice: (notice) => {
        if (isCancelledSync(notice)) unconfirmed += 1;
      },
    });
  let unconfirmed = 0;
  let client = open();
  let ended = false;
  const limited = <T>(used: Sql, work: Promise<T>): Promise<T> =>
    within(work, options.statementMs + SLACK_MS, () => {
      if (used !== client || ended) return;
      client = open();
      void used.end({ timeout: 0 });
    });
  return {
    get unconfirmed() {
      return unconfirmed;
    },
    run: (statements) =>
      makingRoom(limited(client, statements(client)), (make) => limited(client, make(client))),
    end: async () => {
      ended = true;
      await client.end({ timeout: GOODBYE_SECS });
    },
  };
}
