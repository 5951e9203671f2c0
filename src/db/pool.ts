/**
 * Ordinary statements, each its own transaction, over a few connections that may come and go.
 *
 * Failure behaviour: a statement that the server finds slow is cancelled by the server
 * (`statement_timeout`); an answer that does not come at all means a half-open socket, so the whole pool is
 * replaced and its callers get an error; what it left on the server is ended, and while that cannot be ended nothing more
 * is sent there. So it is, once a second at most, when its sessions turn out to take no writes: they
 * stay so for as long as they last, and connections that are made next may lead elsewhere. Nothing is retried here: only the caller knows what a repeat does.
 * No transactions either: see `Sql`. Use `transaction.ts`.
 */
import { endAbandoned } from './abandoned.ts';
import { isCancelledSync } from './confirmed.ts';
import { DeadlineError, within } from './deadline.ts';
import { isReadOnly } from './errors.ts';
import { openClient, STAYS, type DatabaseOptions, type Sql } from './driver.ts';
import { makingRoom } from './notifications.ts';

export interface PoolOptions {
  readonly role: string;
  readonly max: number;
  /** Milliseconds until the server gives a statement up. */
  readonly statementMs: number;
  /** Beside those that every session has. */
  readonly settings?: Readonly<Record<string, string>>;
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
/** Sessions that hang beyond what a pool may have, beside which another attempt is made. */
const MORE_LEFT = 2;
const LOOK_AGAIN_MS = 1_000;
/** A database that takes no writes for long is asked anew so often by each pool that is in use. */
const ANEW_MS = 1_000;

export function createPool(database: DatabaseOptions, options: PoolOptions): Pool {
  return new ReplacedPool(database, options);
}

class ReplacedPool implements Pool {
  unconfirmed = 0;
  private readonly database: DatabaseOptions;
  private readonly options: PoolOptions;
  private client: Sql;
  private openedAt = performance.now();
  /** Some of its sessions take no writes. */
  private isSpoilt = false;
  private ended = false;
  /** Sessions that the server was asked to end, and may keep. */
  private left = 0;
  private leftAt = Number.NEGATIVE_INFINITY;

  constructor(database: DatabaseOptions, options: PoolOptions) {
    this.database = database;
    this.options = options;
    this.client = this.open();
  }

  run<T>(statements: (sql: Sql) => Promise<T>): Promise<T> {
    if (this.isSpoilt && performance.now() - this.openedAt >= ANEW_MS) this.replace(this.lastSecs);
    if (this.isStuck) return this.onceEnded(statements);
    return this.send(statements);
  }

  private send<T>(statements: (sql: Sql) => Promise<T>): Promise<T> {
    const { client } = this;
    return makingRoom(this.limited(client, statements(client)), (make) =>
      this.limited(client, make(client)),
    );
  }

  async end(): Promise<void> {
    this.ended = true;
    await this.client.end({ timeout: GOODBYE_SECS });
  }

  private open(): Sql {
    const { role, max, statementMs, settings = {} } = this.options;
    const client = openClient(this.database, {
      role,
      max,
      settings: { ...settings, statement_timeout: String(statementMs), ...STAYS },
      onNotice: (notice) => {
        if (isCancelledSync(notice)) this.unconfirmed += 1;
      },
      onReadOnly: () => {
        this.spoil(client);
      },
    });
    return client;
  }

  private limited<T>(used: Sql, work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => {
      if (isReadOnly(error)) this.spoil(used);
    });
    return within(work, this.lastSecs * 1_000, () => {
      if (used !== this.client) return;
      this.replace(0);
      if (!this.ended) this.endLeft().catch(() => undefined);
    });
  }

  /** By then the server should have given them up, and somebody else's statement in this name, too. */
  private async endLeft(): Promise<void> {
    this.leftAt = performance.now();
    const { all, namesakes } = await endAbandoned(this.client, this.options.statementMs);
    this.left = namesakes;
    if (all > 0) this.database.onAbandoned?.({ role: this.options.role, sessions: all });
  }

  /** A disk hangs: each further attempt would be one more session that cannot be ended. */
  private async onceEnded<T>(statements: (sql: Sql) => Promise<T>): Promise<T> {
    if (performance.now() - this.leftAt > LOOK_AGAIN_MS)
      await this.limited(this.client, this.endLeft());
    if (!this.isStuck) return this.send(statements);
    const what = `${String(this.left)} sessions of the role ${this.options.role}`;
    throw new DeadlineError(`${what} hang in the database, and nothing more is sent there`);
  }

  private get isStuck(): boolean {
    return this.left > this.options.max + MORE_LEFT;
  }

  private spoil(used: Sql): void {
    if (used === this.client) this.isSpoilt = true;
  }

  /** What is under way has so many seconds to end in. */
  private replace(timeout: number): void {
    if (this.ended) return;
    const { client } = this;
    this.client = this.open();
    this.openedAt = performance.now();
    this.isSpoilt = false;
    void client.end({ timeout });
  }

  /** Until then whatever is under way has ended, or never does. */
  private get lastSecs(): number {
    return (this.options.statementMs + SLACK_MS) / 1_000;
  }
}
