/** The statements of the queue's exit. Only the leader calls these. */
import type { Sql } from '../db/driver.ts';
import { jsonList, plainArray, textArray } from '../db/literals.ts';
import { STATEMENT_BYTES } from '../db/slow-link.ts';
import { allStored } from '../db/swallowed.ts';
import type { Verdict } from '../reducer/log.ts';
import { bySlot } from './ring.ts';

export interface ClaimedInput {
  readonly id: number;
  readonly kind: string;
  /** JSON text; empty where `tooLarge`. */
  readonly payload: string;
  /** Bytes of what was not read: whoever may add to the queue by SQL may add what no claim can carry. */
  readonly tooLarge?: number | null;
  /** Who waits for the verdict; null: nobody. */
  readonly replica: string | null;
  /** Its verdict goes with the others of the commit. */
  readonly together: boolean;
}

/** Of one input: twice what Muster stores at the most, which is 5,000 hosts that went silent together. */
export const INPUT_BYTES = 4_000_000;
/** Of texts that Muster keeps below 300 characters. */
const TEXT_CHARS = 1_000;

/**
 * The oldest rows that are not in flight, of as many bytes as one statement carries, but for the one that goes beyond:
 * agents may send 256 KiB each. By id, never above a cursor: ids become visible out of order, and
 * a lower one that commits late must still be taken. A sub-select, since `= ANY(parameter)` is searched from
 * its beginning for each row by a generic plan: 15 ms, not 1.5, beside a thousand in flight.
 */
export async function claimInputs(
  sql: Sql,
  limit: number,
  inFlight: readonly number[],
): Promise<readonly ClaimedInput[]> {
  return sql<ClaimedInput[]>`
    SELECT id, together,
      CASE WHEN bytes <= ${INPUT_BYTES} THEN kind ELSE left(kind, ${TEXT_CHARS}) END AS kind,
      CASE WHEN bytes <= ${INPUT_BYTES} THEN replica ELSE left(replica, ${TEXT_CHARS}) END AS replica,
      CASE WHEN bytes <= ${INPUT_BYTES} THEN payload::text ELSE '' END AS payload,
      CASE WHEN bytes <= ${INPUT_BYTES} THEN NULL ELSE bytes END AS "tooLarge"
    FROM (
      SELECT *, sum(bytes) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - bytes AS before
      FROM (
        SELECT id, kind, payload, replica, together,
          -- A text may have 1 GB: three of them are more than an integer holds.
          pg_column_size(payload) + least(octet_length(kind), 500000000)
            + least(coalesce(octet_length(replica), 0), 500000000) AS bytes
        FROM input_queue WHERE id NOT IN (SELECT unnest(${plainArray(inFlight)}::bigint[]))
        ORDER BY id LIMIT ${limit}
      ) AS oldest
    ) AS sized
    WHERE before < ${STATEMENT_BYTES} ORDER BY id`;
}

/** Removes decided inputs; the caller compares the count, since a missing row means another decided it. */
export async function deleteInputs(sql: Sql, ids: readonly number[]): Promise<number> {
  const counts = await Promise.all(
    [...bySlot(ids)].map(([slot, some]) => deleteFromSlot(sql, slot, some)),
  );
  return counts.reduce((all, count) => all + count, 0);
}

/**
 * The slot stands in the text, so that it is known when the statement is planned, once for all: as a parameter it would
 * be planned again each time, or for all slots.
 */
async function deleteFromSlot(sql: Sql, slot: number, ids: readonly number[]): Promise<number> {
  const inSlot = sql.unsafe(`((id >> 15) & 7) = ${slot}`);
  const done = await sql`
    DELETE FROM input_queue WHERE ${inSlot} AND id = ANY(${plainArray(ids)}::bigint[])`;
  return done.count;
}

export interface NewVerdict {
  readonly inputId: number;
  readonly replica: string;
  readonly verdict: Verdict;
  readonly seqs: readonly number[];
  /** Else it is found by its input: it answers an Idempotency-Key, or an older replica. */
  readonly together: boolean;
}

interface VerdictsCommit {
  readonly epoch: number;
  readonly commitNo: number;
}

/** Verdicts that are waited for by one replica each, for a moment: one row for all of a commit. */
export function insertVerdicts(
  sql: Sql,
  commit: VerdictsCommit,
  verdicts: readonly NewVerdict[],
): Promise<void> {
  const byReplica = new Map<string, string[]>();
  for (const { inputId, replica, verdict, seqs } of verdicts) {
    const of = byReplica.get(replica) ?? [];
    byReplica.set(replica, of);
    of.push(JSON.stringify([inputId, verdict, seqs]));
  }
  const inserted = sql`
    INSERT INTO commit_verdicts (epoch, commit_no, replica, verdicts, at)
    SELECT ${commit.epoch}, ${commit.commitNo}, replica, verdicts, clock_timestamp()
    FROM ROWS FROM (
      unnest(${textArray([...byReplica.keys()])}::text[]),
      json_array_elements(${jsonList([...byReplica.values()].map(jsonList))}::text::json)
    ) AS v(replica, verdicts)`;
  return allStored('commit_verdicts', byReplica.size, inserted.execute());
}

/** Verdicts that are asked for by their inputs. */
export function insertSingleVerdicts(
  sql: Sql,
  commit: VerdictsCommit,
  verdicts: readonly NewVerdict[],
): Promise<void> {
  const inserted = sql`
    INSERT INTO verdict (input_id, epoch, commit_no, replica, verdict, seqs, at)
    SELECT id, ${commit.epoch}, ${commit.commitNo}, replica, verdict, seqs, clock_timestamp()
    FROM ROWS FROM (
      unnest(
        ${plainArray(verdicts.map((v) => v.inputId))}::bigint[],
        ${textArray(verdicts.map((v) => v.replica))}::text[]
      ),
      json_array_elements(${jsonList(verdicts.map((v) => JSON.stringify(v.verdict)))}::text::json),
      json_array_elements(${jsonList(verdicts.map((v) => JSON.stringify(v.seqs)))}::text::json)
    ) AS v(id, replica, verdict, seqs)`;
  return allStored('verdict', verdicts.length, inserted.execute());
}

/**
 * Keeps inputs that cannot be decided, with the reason; they leave the queue in the same transaction. What is too large
 * is not kept whole: copying it would keep the others waiting, and who lists these rows would read it.
 */
export function insertDead(
  sql: Sql,
  dead: readonly { readonly input: ClaimedInput; readonly error: string }[],
  epoch: number,
): Promise<unknown> {
  return sql`
    INSERT INTO dead_input
      (input_id, kind, hostname, rollout_id, payload, error, replica, enqueued_at, died_at, epoch)
    SELECT q.id, left(q.kind, ${TEXT_CHARS}), left(q.hostname, ${TEXT_CHARS}), left(q.rollout_id, ${TEXT_CHARS}),
      CASE WHEN pg_column_size(q.payload) > ${INPUT_BYTES} THEN '' ELSE q.payload::text END,
      d.error, left(q.replica, ${TEXT_CHARS}), q.enqueued_at, clock_timestamp(), ${epoch}
    FROM unnest(
      ${plainArray(dead.map(({ input }) => input.id))}::bigint[],
      ${textArray(dead.map(({ error }) => error.slice(0, MAX_ERROR)))}::text[]
    ) AS d(id, error) JOIN input_queue AS q USING (id)
    ON CONFLICT (input_id) DO NOTHING`.execute();
}

/** A stack of a few frames says where; more is noise in a table that people read. */
const MAX_ERROR = 4_000;
