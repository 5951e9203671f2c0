/**
 * What the event log says at the end of a run: is it gapless, how many terms led, and, after a leader was
 * killed, does it hold every event that some agent was told is safe, once each.
 */
import { readFile } from 'node:fs/promises';
import type { Sql } from 'postgres';
import { isJsonObject } from '../../wire/text.ts';

export interface LogAudit {
  readonly logRows: number;
  readonly seqGapless: boolean;
  readonly leaderEpochs: number;
}

export async function auditLog(sql: Sql, schema: string): Promise<LogAudit> {
  const [row] = await sql<{ rows: number; first: number; last: number; epochs: number }[]>`
    SELECT count(*)::float8 AS rows, coalesce(min(seq), 0)::float8 AS first,
           coalesce(max(seq), 0)::float8 AS last, count(DISTINCT epoch)::int AS epochs
    FROM ${sql(`${schema}.event_log`)}`;
  if (row === undefined) throw new Error('the event log did not answer');
  const gapless = row.rows > 0 && row.first === 1 && row.last === row.rows;
  return { logRows: row.rows, seqGapless: gapless, leaderEpochs: row.epochs };
}

/**
 * `host rollout seq` of every event that was answered with a 2xx: from the journals of the agents, once
 * their process has ended.
 */
export async function acceptedEvents(
  journal: string,
  rolloutIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const accepted = new Set<string>();
  for (const line of (await readFile(journal, 'utf8')).split('\n')) {
    const read: unknown = line === '' ? null : JSON.parse(line);
    if (!isJsonObject(read) || read['t'] !== 'settled' || read['outcome'] !== 'accepted') continue;
    const rolloutId = String(read['rolloutId']);
    if (rolloutIds.includes(rolloutId)) {
      accepted.add(`${String(read['host'])} ${rolloutId} ${String(read['seq'])}`);
    }
  }
  return accepted;
}

export interface Losses {
  readonly accepted: number;
  /** Accepted, and not in the log. */
  readonly missing: readonly string[];
  /** In the log more than once as applied. */
  readonly repeated: readonly string[];
}

/** Compares with the log. Inputs may still wait in the queue: call when the queue is empty. */
export async function compareWithLog(
  sql: Sql,
  schema: string,
  accepted: ReadonlySet<string>,
  rolloutIds: readonly string[],
): Promise<Losses> {
  const rows = await sql<{ key: string; times: number }[]>`
    SELECT hostname || ' ' || rollout_id || ' ' || (payload->'event'->>'seq') AS key,
           count(*) FILTER (WHERE payload->>'verdict' = 'applied')::int AS times
    FROM ${sql(`${schema}.event_log`)}
    WHERE kind = 'agent_event' AND rollout_id = ANY(${[...rolloutIds]})
    GROUP BY 1`;
  // A refusal is in the log as well: kept, judged, and not lost.
  const logged = new Set(rows.map(({ key }) => key));
  return {
    accepted: accepted.size,
    missing: [...accepted].filter((key) => !logged.has(key)),
    repeated: rows.filter(({ times }) => times > 1).map(({ key }) => key),
  };
}
