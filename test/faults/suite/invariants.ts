/** What must hold of every log, whatever was sent. */
import type postgres from 'postgres';

/** An event taken over a hole says how wide it is: so the log has, or counts, every seq of a host. */
export async function gapFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ hostname: string }[]>`
    SELECT hostname FROM event_log WHERE kind = 'agent_event' AND payload->>'verdict' = 'applied'
    GROUP BY hostname, rollout_id
    HAVING max((payload->'event'->>'seq')::int)
      <> count(*) + coalesce(sum((payload->>'gap')::int), 0) LIMIT 3`;
  return rows.map(({ hostname }) => `gaps of ${hostname} do not add up`);
}

export async function countGaps(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ gaps: number }[]>`
    SELECT (coalesce(max(seq), 0) - count(*))::int AS gaps FROM event_log`;
  return row?.gaps ?? 0;
}

/** Epochs never decrease along the log, and each begins with the row that announces it. */
export async function epochFaults(sql: postgres.Sql): Promise<string[]> {
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
    ...(progress?.behind === true ? ['the progress row was written by a deposed leader'] : []),
  ];
}

/** The log never runs backwards, nor ahead of the database's clock, whatever the processes' clocks do. */
export async function timeFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ seq: number }[]>`
    SELECT seq::int AS seq FROM (SELECT seq, ts, lag(ts) OVER (ORDER BY seq) AS before
      FROM event_log) AS rows
    WHERE ts < before LIMIT 3`;
  const [ahead] = await sql<{ seconds: number }[]>`
    SELECT round(extract(epoch FROM max(ts) - clock_timestamp()))::int AS seconds FROM event_log`;
  return [
    ...rows.map(({ seq }) => `time falls at seq ${seq}`),
    ...((ahead?.seconds ?? 0) > 0
      ? [`the log is ${ahead?.seconds ?? 0} s ahead of the database's clock`]
      : []),
  ];
}

export async function deadFaults(sql: postgres.Sql, planted: number): Promise<string[]> {
  const rows = await sql<{ error: string }[]>`SELECT error FROM dead_input`;
  if (rows.length === planted) return [];
  const errors = rows.map(({ error }) => error.split('\n')[0]).slice(0, 3);
  return [`${rows.length} dead inputs, not ${planted}: ${errors.join('; ')}`];
}
