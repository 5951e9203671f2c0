/**
 * What was told of one kind of request, and what the log has of it, under keys that name the same thing in both: an
 * event by its host, rollout and seq, a report by its host and closure, a command by its key, an offer by its dispatch.
 */
import type postgres from 'postgres';
import {
  keyOf,
  only,
  outcomeOf,
  type Attempt,
  type CommandAttempt,
  type HeartbeatAttempt,
} from './load/history.ts';

export interface Book {
  readonly what: string;
  /** Answered as safe: each must be in the log. */
  readonly told: ReadonlySet<string>;
  /** Everything that was sent, and how often the log may have it at the most. */
  readonly most: ReadonlyMap<string, number>;
  /** How often the log has it. */
  readonly logged: ReadonlyMap<string, number>;
}

const isOk = (attempt: Attempt): boolean => outcomeOf(attempt) === 'ok';

export async function readBooks(
  sql: postgres.Sql,
  attempts: readonly Attempt[],
): Promise<readonly Book[]> {
  return Promise.all([
    eventBook(sql, attempts),
    reportBook(sql, only(attempts, 'heartbeat')),
    commandBook(sql, only(attempts, 'command')),
    offerBook(sql, attempts),
  ]);
}

/** Told, and not there. */
export function missingOf({ told, logged }: Book): readonly string[] {
  return [...told].filter((key) => !logged.has(key));
}

export function duplicatesOf({ most, logged }: Book): readonly string[] {
  return [...logged].flatMap(([key, times]) => (times > (most.get(key) ?? times) ? [key] : []));
}

export function unsentOf({ most, logged }: Book): readonly string[] {
  return [...logged.keys()].filter((key) => !most.has(key));
}

/** Those above everything that the log has of their sender: posting again would have brought them back. */
export function notOvertaken(
  missing: readonly string[],
  logged: ReadonlyMap<string, number>,
): string[] {
  const newest = new Map<string, number>();
  for (const key of logged.keys()) {
    const { stream, seq } = partsOf(key);
    newest.set(stream, Math.max(seq, newest.get(stream) ?? 0));
  }
  return missing.filter((key) => {
    const { stream, seq } = partsOf(key);
    return seq > (newest.get(stream) ?? 0);
  });
}

/** Senders count in the last figures of their keys. */
function partsOf(key: string): { readonly stream: string; readonly seq: number } {
  const [, stream = key, seq = '0'] = /^(.*?)(\d+)$/.exec(key) ?? [];
  return { stream, seq: Number(seq) };
}

/** How often each agent event is in the log, as one that was applied: nothing that the load sends is to be refused. */
export async function readEvents(sql: postgres.Sql): Promise<ReadonlyMap<string, number>> {
  return timesOf(
    await sql<Times[]>`
      SELECT hostname || ' ' || rollout_id || ' ' || (payload->'event'->>'seq') AS key,
        count(*)::int AS times
      FROM event_log WHERE kind = 'agent_event' AND payload->>'verdict' = 'applied' GROUP BY 1`,
  );
}

async function eventBook(sql: postgres.Sql, attempts: readonly Attempt[]): Promise<Book> {
  const events = only(attempts, 'event');
  return {
    what: 'event',
    told: new Set(events.filter(isOk).map(keyOf)),
    most: new Map(events.map((event) => [keyOf(event), 1])),
    logged: await readEvents(sql),
  };
}

/** Each heartbeat leads to one row at the most, and the same words may be said again. */
async function reportBook(
  sql: postgres.Sql,
  heartbeats: readonly HeartbeatAttempt[],
): Promise<Book> {
  const keyOfReport = ({ hostname, closure }: HeartbeatAttempt): string => `${hostname} ${closure}`;
  const most = new Map<string, number>();
  for (const one of heartbeats) most.set(keyOfReport(one), (most.get(keyOfReport(one)) ?? 0) + 1);
  const rows = await sql<Times[]>`
    SELECT hostname || ' ' || (payload->>'closure') AS key, count(*)::int AS times
    FROM event_log WHERE kind = 'host_report' AND payload->>'closure' IS NOT NULL GROUP BY 1`;
  return {
    what: 'report',
    told: new Set(heartbeats.filter((one) => one.isNews && isOk(one)).map(keyOfReport)),
    most,
    logged: timesOf(rows),
  };
}

/** A refusal that names its rows is as much of a promise as a 2xx. */
async function commandBook(sql: postgres.Sql, commands: readonly CommandAttempt[]): Promise<Book> {
  const told = commands.filter((one) => isOk(one) || one.seqs !== null);
  const rows = await readCommands(sql);
  return {
    what: 'command',
    told: new Set(told.map(({ key }) => key)),
    most: new Map(commands.map(({ key }) => [key, 1])),
    logged: new Map([...rows].map(([key, seqs]) => [key, seqs.length])),
  };
}

/** An offer rests on a dispatch that was granted; how often it is offered says nothing. */
async function offerBook(sql: postgres.Sql, attempts: readonly Attempt[]): Promise<Book> {
  const told = new Set(
    only(attempts, 'poll').flatMap(({ hostname, offered }) =>
      offered === null ? [] : [`${hostname} ${offered.rolloutId} ${offered.closure}`],
    ),
  );
  const rows = await sql<Times[]>`
    SELECT hostname || ' ' || rollout_id || ' ' || (payload->>'targetClosure') AS key,
      count(*)::int AS times
    FROM event_log WHERE kind = 'plan_action' AND payload->>'action' = 'QueueDispatch' GROUP BY 1`;
  const logged = timesOf(rows.filter(({ key }) => told.has(key)));
  return { what: 'offer', told, most: logged, logged };
}

interface Times {
  readonly key: string;
  readonly times: number;
}

function timesOf(rows: readonly Times[]): ReadonlyMap<string, number> {
  return new Map(rows.map(({ key, times }) => [key, times]));
}

async function readCommands(sql: postgres.Sql): Promise<ReadonlyMap<string, readonly number[]>> {
  const rows = await sql<{ key: string; seqs: number[] }[]>`
    SELECT payload->>'reason' AS key, json_agg(seq ORDER BY seq) AS seqs
    FROM event_log WHERE kind = 'operator_command' AND payload->>'reason' IS NOT NULL GROUP BY 1`;
  return new Map(rows.map(({ key, seqs }) => [key, seqs]));
}

/** A command's answers all name the same rows, its own among them. */
export async function answerFaults(
  sql: postgres.Sql,
  attempts: readonly Attempt[],
): Promise<readonly string[]> {
  const rows = await readCommands(sql);
  const first = new Map<string, string>();
  return only(attempts, 'command').flatMap(({ key, seqs }) => {
    if (seqs === null) return [];
    const named = seqs.join(' ');
    const before = first.get(key) ?? named;
    first.set(key, before);
    if (before !== named) return [`command ${key} was answered with seqs ${before}, then ${named}`];
    const own = rows.get(key) ?? [];
    return own.every((seq) => seqs.includes(seq))
      ? []
      : [`command ${key} was answered with seqs ${named}, and is at ${own.join(' ')}`];
  });
}
