/** The statements of the queue's exit. Only the leader calls these. */
import type { Sql } from '../db/driver.ts';
import { numberArray, textArray } from '../db/literals.ts';
import type { Verdict } from '../reducer/log.ts';
import type { Time } from '../reducer/time.ts';

export interface ClaimedInput {
  readonly id: number;
  readonly kind: string;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  /** JSON text. */
  readonly payload: string;
  /** Who waits for the verdict; null: nobody. */
  readonly replica: string | null;
  readonly enqueuedAt: Time;
}

/**
 * The oldest rows that are not in flight. By id, never above a cursor: ids become visible out of order, and
 * a lower one that commits late must still be taken.
 */
export async function claimInputs(
  sql: Sql,
  limit: number,
  inFlight: readonly number[],
): Promise<readonly ClaimedInput[]> {
  return sql<ClaimedInput[]>`
    SELECT id, kind, hostname, rollout_id AS "rolloutId", payload::text AS payload, replica,
      enqueued_at AS "enqueuedAt"
    FROM input_queue WHERE NOT (id = ANY(${numberArray(inFlight)}::bigint[]))
    ORDER BY id LIMIT ${limit}`;
}

/** Removes decided inputs; the caller compares the count, since a missing row means another decided it. */
export async function deleteInputs(sql: Sql, ids: readonly number[]): Promise<number> {
  const done = await sql`DELETE FROM input_queue WHERE id = ANY(${numberArray(ids)}::bigint[])`;
  return done.count;
}

export interface NewVerdict {
  readonly inputId: number;
  readonly replica: string;
  readonly verdict: Verdict;
  readonly seqs: readonly number[];
}

export function insertVerdicts(
  sql: Sql,
  commit: { readonly epoch: number; readonly commitNo: number; readonly at: Time },
  verdicts: readonly NewVerdict[],
): Promise<unknown> {
  const json = textArray(verdicts.map((v) => JSON.stringify(v.verdict)));
  const seqs = textArray(verdicts.map((v) => JSON.stringify(v.seqs)));
  return sql`
    INSERT INTO verdict (input_id, epoch, commit_no, replica, verdict, seqs, at)
    SELECT id, ${commit.epoch}, ${commit.commitNo}, replica, verdict::json, seqs::json, ${commit.at}
    FROM unnest(
      ${numberArray(verdicts.map((v) => v.inputId))}::bigint[],
      ${textArray(verdicts.map((v) => v.replica))}::text[],
      ${json}::text[], ${seqs}::text[]
    ) AS v(id, replica, verdict, seqs)`.execute();
}

/** Keeps inputs that cannot be decided, with the reason; they leave the queue in the same transaction. */
export function insertDead(
  sql: Sql,
  dead: readonly { readonly input: ClaimedInput; readonly error: string }[],
  epoch: number,
  at: Time,
): Promise<unknown> {
  const rows = dead.map(({ input, error }) => ({ ...input, error: error.slice(0, MAX_ERROR) }));
  return sql`
    INSERT INTO dead_input
      (input_id, kind, hostname, rollout_id, payload, error, replica, enqueued_at, died_at, epoch)
    SELECT id, kind, hostname, "rolloutId", payload, error, replica, "enqueuedAt", ${at}, ${epoch}
    FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(
      id bigint, kind text, hostname text, "rolloutId" text, payload text, error text,
      replica text, "enqueuedAt" timestamptz)
    ON CONFLICT (input_id) DO NOTHING`.execute();
}

/** A stack of a few frames says where; more is noise in a table that people read. */
const MAX_ERROR = 4_000;
