/** What the log says against what the agents were told. Asked of a quiet, healed installation. */
import type postgres from 'postgres';
import { audit } from '../../../src/eventlog/audit.ts';
import type { BenchDatabase } from './bench/database.ts';
import { keyOf, outcomeOf, type Attempt } from './load/history.ts';

export interface Findings {
  /** Answered 2xx, and not in the log. */
  readonly lost: number;
  /** In the log more than once. */
  readonly duplicated: number;
  readonly gaps: number;
  /** Everything else that is wrong, in words; empty: nothing. */
  readonly wrong: readonly string[];
}

export interface Expectations {
  /** Inputs that were planted to die. */
  readonly dead: number;
  /** A standby lagged when it was promoted: what it lacked is lost where a later event of the host overtook it. */
  readonly lossWindow?: boolean;
}

export async function check(
  database: BenchDatabase,
  attempts: readonly Attempt[],
  expected: Expectations,
): Promise<Findings> {
  const { sql, pool } = database;
  const logged = await readEvents(sql);
  const told = new Set(attempts.filter((one) => outcomeOf(one) === 'ok').map(keyOf));
  const sent = new Set(attempts.map(keyOf));
  const missing = [...told].filter((key) => !logged.has(key));
  const lost = expected.lossWindow === true ? notOvertaken(missing, logged) : missing;
  const duplicated = [...logged].filter(([, times]) => times > 1);
  const unsent = [...logged.keys()].filter((key) => !sent.has(key));
  const refused = attempts.filter(({ verdict }) => verdict !== null);
  const report = await audit((read) => pool.run(read));
  const wrong = [
    ...say(lost.length > 0, `lost, for instance ${lost.slice(0, 3).join(', ')}`),
    ...say(unsent.length > 0, `never sent: ${unsent.slice(0, 3).join(', ')}`),
    ...say(refused.length > 0, `refused ${refused.length}, first ${refused[0]?.verdict ?? ''}`),
    ...say(report.brokenAt !== null, `the chain breaks at seq ${String(report.brokenAt)}`),
    ...say(report.unequal.length > 0, `tables are not the fold: ${report.unequal.join(', ')}`),
    ...(await gapFaults(sql)),
    ...(await epochFaults(sql)),
    ...(await timeFaults(sql)),
    ...(await deadFaults(sql, expected.dead)),
  ];
  const gaps = await countGaps(sql);
  return { lost: lost.length, duplicated: duplicated.length, gaps, wrong };
}

function say(holds: boolean, sentence: string): string[] {
  return holds ? [sentence] : [];
}

/** How often each agent event is in the log. */
export async function readEvents(sql: postgres.Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ key: string; times: number }[]>`
    SELECT hostname || ' ' || rollout_id || ' ' || (payload->'event'->>'seq') AS key,
      count(*)::int AS times
    FROM event_log WHERE kind = 'agent_event' GROUP BY 1`;
  return new Map(rows.map(({ key, times }) => [key, times]));
}

/** Those above everything that the log has of their host: posting again would have brought them back. */
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

function partsOf(key: string): { readonly stream: string; readonly seq: number } {
  const at = key.lastIndexOf(' ');
  return { stream: key.slice(0, at), seq: Number(key.slice(at + 1)) };
}

/** An event taken over a hole says how wide it is: so the log has, or counts, every seq of a host. */
async function gapFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ hostname: string }[]>`
    SELECT hostname FROM event_log WHERE kind = 'agent_event' AND payload->>'verdict' = 'applied'
    GROUP BY hostname, rollout_id
    HAVING max((payload->'event'->>'seq')::int)
      <> count(*) + coalesce(sum((payload->>'gap')::int), 0) LIMIT 3`;
  return rows.map(({ hostname }) => `gaps of ${hostname} do not add up`);
}

async function countGaps(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ gaps: number }[]>`
    SELECT (coalesce(max(seq), 0) - count(*))::int AS gaps FROM event_log`;
  return row?.gaps ?? 0;
}

/** Epochs never decrease along the log, and each begins with the row that announces it. */
async function epochFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ seq: number; what: string }[]>`
    SELECT seq::int AS seq, CASE WHEN epoch < before THEN 'an older epoch follows a newer one'
      ELSE 'an epoch begins without its leadership row' END AS what
    FROM (SELECT seq, kind, epoch, lag(epoch, 1, 0::bigint) OVER (ORDER BY seq) AS before
          FROM event_log) AS rows
    WHERE epoch < before OR (epoch > before AND kind <> 'leadership') LIMIT 3`;
  const [progress] = await sql<{ behind: boolean }[]>`
    SELECT p.epoch < e.epoch AS behind FROM leader_progress p, epoch e`;
  return [
    ...rows.map(({ seq, what }) => `${what} at seq ${seq}`),
    ...say(progress?.behind === true, 'the progress row was written by a deposed leader'),
  ];
}

/** The log never runs backwards, whatever the clocks do. */
async function timeFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ seq: number }[]>`
    SELECT seq::int AS seq FROM (SELECT seq, ts, lag(ts) OVER (ORDER BY seq) AS before
      FROM event_log) AS rows
    WHERE ts < before LIMIT 3`;
  return rows.map(({ seq }) => `time falls at seq ${seq}`);
}

async function deadFaults(sql: postgres.Sql, planted: number): Promise<string[]> {
  const rows = await sql<{ error: string }[]>`SELECT error FROM dead_input`;
  if (rows.length === planted) return [];
  const errors = rows.map(({ error }) => error.split('\n')[0]).slice(0, 3);
  return [`${rows.length} dead inputs, not ${planted}: ${errors.join('; ')}`];
}
