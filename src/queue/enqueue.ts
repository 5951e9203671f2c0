/** The statements of the queue's entrance. */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import type { StoredInput } from '../wire/input.ts';

/** A row of the queue, before the database gives it an id. */
export interface EncodedInput {
  readonly kind: string;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  /** JSON text. */
  readonly payload: string;
}

export function encodeInput(input: StoredInput): EncodedInput {
  return {
    kind: input.kind,
    hostname: 'hostname' in input ? input.hostname : null,
    rolloutId: 'rolloutId' in input ? input.rolloutId : null,
    payload: JSON.stringify(input),
  };
}

/** Stores a batch in order, wakes the leader, and returns the ids in the same order. One commit. */
export async function insertInputs(
  sql: Sql,
  inputs: readonly EncodedInput[],
  replica: string,
): Promise<number[]> {
  const texts = (pick: (input: EncodedInput) => string | null): string =>
    textArray(inputs.map(pick));
  const rows = await sql<{ id: number }[]>`
    WITH stored AS (
      INSERT INTO input_queue (kind, hostname, rollout_id, payload, replica)
      SELECT kind, hostname, rollout_id, payload::json, ${replica}
      FROM unnest(
        ${texts((i) => i.kind)}::text[], ${texts((i) => i.hostname)}::text[],
        ${texts((i) => i.rolloutId)}::text[], ${texts((i) => i.payload)}::text[]
      ) WITH ORDINALITY AS i(kind, hostname, rollout_id, payload, place)
      ORDER BY place
      RETURNING id
    ), woken AS (SELECT pg_notify(current_schema() || '_in', ''))
    SELECT id FROM stored, woken ORDER BY id`;
  return rows.map((row) => row.id);
}

export interface QueueGauge {
  /** Rows waiting; counted up to `most`. */
  readonly rows: number;
  /** Milliseconds since the oldest was stored; 0 when empty. */
  readonly oldestMs: number;
}

/** How much waits, looking at `most` rows at the most. */
export async function readGauge(sql: Sql, most: number): Promise<QueueGauge> {
  const [row] = await sql<{ rows: number; oldest: number | null }[]>`
    SELECT (SELECT count(*) FROM (SELECT 1 FROM input_queue LIMIT ${most}) AS few)::int AS rows,
      (SELECT extract(epoch FROM clock_timestamp() - enqueued_at)::float8 * 1000
       FROM input_queue ORDER BY id LIMIT 1) AS oldest`;
  return { rows: row?.rows ?? 0, oldestMs: Math.max(0, row?.oldest ?? 0) };
}
