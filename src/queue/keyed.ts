/**
 * The entrance for operator commands: a request with a key is carried out once, however often it is sent,
 * through whichever replica. The key and the input are stored by one statement, so there is no moment at
 * which one is there without the other; the leader writes the verdict with what it decided; and a repeat
 * finds both. Nothing about it lives in a process.
 *
 * What is found may yet be lost: a commit whose wait for the synchronous standby was cancelled, or was cut short by a
 * crash of the primary, shows like any other. So an answer that rests on rows is read together with a commit of our own
 * that waits for the standby: what it has confirmed, it has with everything that was committed before.
 *
 * And what was stored may be gone while its verdict is waited for: an asynchronous standby was promoted without it. Then
 * the request is to be sent again, and is a new one there.
 */
import { createHash } from 'node:crypto';
import { confirmed, noteUnconfirmed } from '../db/confirmed.ts';
import { databaseProblem, isDataError, sqlState } from '../db/errors.ts';
import { createPool, type Pool } from '../db/pool.ts';
import type { DatabaseOptions, Sql } from '../db/driver.ts';
import type { Listener } from '../db/listen.ts';
import type { OperatorInput } from '../reducer/input.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { decodeVerdict } from '../wire/verdict.ts';
import { encodeInput } from './enqueue.ts';
import type { Judged } from './verdicts.ts';

export interface KeyedRequest {
  readonly key: string;
  readonly input: OperatorInput;
  /** What will prove the token that the command makes. */
  readonly secret: TokenSecret | null;
}

export interface TokenSecret {
  readonly tokenId: string;
  /** SHA-256, lower-case hex. */
  readonly hash: string;
}

export type KeyedResult = (
  | Judged
  | { readonly status: 'queued' }
  /** The key belongs to another request. */
  | { readonly status: 'reused' }
  | { readonly status: 'invalid'; readonly detail: string }
  | { readonly status: 'away' }
) & {
  /** The request was known already. */
  readonly repeated: boolean;
};

export interface KeyedEntrance {
  /** Requests that are not answered yet. */
  readonly held: number;
  submit(request: KeyedRequest, waitMs: number): Promise<KeyedResult>;
  end(): Promise<void>;
}

export interface KeyedOptions {
  readonly database: DatabaseOptions;
  /** Name of this process: inputs with one get a verdict. */
  readonly replica: string;
  readonly listener: Pick<Listener, 'on'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Commands are people's and pipelines': a handful a minute. */
const CONNECTIONS = 1;
/** As long as an agent's insert may take. */
const STATEMENT_MS = 3_000;
/** The safety net beneath notifications. */
const POLL_MS = 250;
const UNIQUE_VIOLATION = '23505';

interface StoredKey {
  readonly hash: string;
}

async function findKey(sql: Sql, key: string): Promise<StoredKey | null> {
  const [row] = await sql<StoredKey[]>`
    SELECT request_hash AS hash FROM operator_key WHERE key = ${key}`;
  return row ?? null;
}

/**
 * Of everything that makes the request what it is, who sends it included. Without a secret it is what the release before
 * took, which knew of none: a key is kept for seven days, and repeated to whichever build.
 */
function hashOf({ input, secret }: KeyedRequest): string {
  return createHash('sha256')
    .update(JSON.stringify(secret === null ? input : [input, secret]))
    .digest('hex');
}

/** Fails with a unique violation, and stores nothing, when the key is there. */
async function storeKeyed(sql: Sql, request: KeyedRequest, replica: string): Promise<StoredKey> {
  const { key, input, secret } = request;
  const { kind, hostname, rolloutId, payload } = encodeInput(input);
  const [row] = await sql<StoredKey[]>`
    WITH stored AS (
      INSERT INTO input_queue (kind, hostname, rollout_id, payload, replica)
      VALUES (${kind}, ${hostname}, ${rolloutId}, ${payload}::text::json, ${replica})
      RETURNING id
    ), woken AS (SELECT pg_notify(current_schema() || '_in', '')),
    -- An id in use keeps its secret; the command is then refused.
    proven AS (
      INSERT INTO operator_secret (token_id, hash)
      SELECT ${secret?.tokenId ?? null}::text, decode(${secret?.hash ?? null}::text, 'hex')
      WHERE ${secret !== null} ON CONFLICT DO NOTHING
    )
    INSERT INTO operator_key (key, actor, request_hash, input_id)
    SELECT ${key}, ${input.actor}, ${hashOf(request)}, id FROM stored, woken
    RETURNING request_hash AS hash`;
  if (row === undefined) throw new Error('a keyed input was stored without a row');
  return row;
}

/** What was stored under a key is not there any more: this is another database, or an earlier state of it. */
class GoneError extends Error {
  override readonly name = 'GoneError';

  constructor() {
    super('the database lacks a command that was stored: it is another one, or an earlier state');
  }
}

/** What a verdict is found by. */
interface Claimed {
  readonly key: string;
  readonly hash: string;
}

/**
 * The verdict on what is stored under the key; null while there is none. Never by the input's id alone: a standby that
 * was promoted without the input gives its id to another.
 *
 * `durably`: by a commit of our own beside it, which writes WAL and needs no right on any table.
 */
async function readVerdict(
  sql: Sql,
  { key, hash }: Claimed,
  how: 'as it shows' | 'durably',
): Promise<Judged | null> {
  const mark =
    how === 'durably'
      ? sql`, pg_logical_emit_message(true, 'muster', 'a command is answered')`
      : sql``;
  const [row] = await sql<{ verdict: unknown; seqs: number[] }[]>`
    SELECT verdict, seqs ${mark} FROM operator_key LEFT JOIN verdict USING (input_id)
    WHERE key = ${key} AND request_hash = ${hash}`;
  if (row === undefined) throw new GoneError();
  const verdict = decodeVerdict(row.verdict);
  return verdict === null ? null : { status: 'judged', verdict, seqs: row.seqs };
}

/** Sends what writes, and rejects when the standby was not waited for. */
type Durably = <T>(statement: (sql: Sql) => Promise<T>) => Promise<T>;

export function createKeyedEntrance(options: KeyedOptions): KeyedEntrance {
  const settings = { role: 'commands', max: CONNECTIONS, statementMs: STATEMENT_MS };
  const pool = createPool(options.database, settings);
  const durably: Durably = (statement) => confirmed(pool, statement);
  const submit = async (request: KeyedRequest, waitMs: number): Promise<KeyedResult> => {
    const until = options.clock.monotonic() + waitMs;
    const { stored, repeated } = await claim(pool, durably, request, options.replica);
    const claimed = { key: request.key, hash: hashOf(request) };
    if (stored.hash !== claimed.hash) return { status: 'reused', repeated };
    const seen = await verdictBy(options, pool, claimed, until);
    // Read again, as it may have been seen in a database that has gone: what is told and what is confirmed are one.
    const told =
      repeated || seen !== null
        ? await durably((sql) => readVerdict(sql, claimed, 'durably'))
        : null;
    return { ...(told ?? { status: 'queued' }), repeated };
  };
  let held = 0;
  return {
    get held() {
      return held;
    },
    async submit(request, waitMs) {
      held += 1;
      try {
        return await submit(request, waitMs);
      } catch (error) {
        noteUnconfirmed(options.metrics, 'commands', error);
        const detail = databaseProblem(error);
        if (isDataError(error)) return { status: 'invalid', detail, repeated: false };
        options.logger.warn({ problem: detail }, 'a command was not stored, or may be lost yet');
        return { status: 'away', repeated: false };
      } finally {
        held -= 1;
      }
    },
    end: () => pool.end(),
  };
}

async function claim(
  pool: Pool,
  durably: Durably,
  request: KeyedRequest,
  replica: string,
): Promise<{ readonly stored: StoredKey; readonly repeated: boolean }> {
  const known = await pool.run((sql) => findKey(sql, request.key));
  if (known !== null) return { stored: known, repeated: true };
  try {
    const stored = await durably((sql) => storeKeyed(sql, request, replica));
    return { stored, repeated: false };
  } catch (error) {
    if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
    // Sent twice at the same time: the other one was first.
    const first = await pool.run((sql) => findKey(sql, request.key));
    if (first === null) throw error;
    return { stored: first, repeated: true };
  }
}

/** The verdict, once there is one; null when there is none by `until`. */
async function verdictBy(
  { clock, listener }: Pick<KeyedOptions, 'clock' | 'listener'>,
  pool: Pool,
  claimed: Claimed,
  until: number,
): Promise<Judged | null> {
  for (;;) {
    const committed = nextCommit(listener, clock, Math.min(POLL_MS, until - clock.monotonic()));
    const judged = await pool.run((sql) => readVerdict(sql, claimed, 'as it shows'));
    if (judged !== null || clock.monotonic() >= until) {
      committed.forget();
      return judged;
    }
    await committed.happened;
  }
}

/** Begins to listen at once, so that no commit is missed between asking and waiting. */
function nextCommit(
  listener: Pick<Listener, 'on'>,
  clock: Clock,
  ms: number,
): { readonly happened: Promise<void>; readonly forget: () => void } {
  let forget = (): void => undefined;
  const happened = new Promise<void>((resolve) => {
    const done = (): void => {
      unlisten();
      cancel();
      resolve();
    };
    const unlisten = listener.on('out', done);
    const cancel = clock.after(Math.max(0, ms), done);
    forget = done;
  });
  return { happened, forget };
}
