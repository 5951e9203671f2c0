/** The statements of the queue's entrance. */
import type { Sql } from '../db/driver.ts';
import { jsonList, plainArray, textArray } from '../db/literals.ts';
import { bytesOf } from '../db/slow-link.ts';
import { SwallowedError } from '../db/swallowed.ts';
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

/** An input on its way into the queue together with others. */
export interface GatheredInput extends EncodedInput {
  /** Somebody here waits for its verdict; for others none is kept. */
  readonly waits: boolean;
  /** Of its payload. */
  readonly bytes: number;
}

export function gathered(input: StoredInput, waits: boolean): GatheredInput {
  const encoded = encodeInput(input);
  return { ...encoded, waits, bytes: bytesOf(encoded.payload) };
}

/** Stores a batch in order, wakes the leader, and returns the ids in the same order. One commit. Fails when not all were stored. */
export async function insertInputs(
  sql: Sql,
  inputs: readonly GatheredInput[],
  replica: string,
): Promise<readonly number[]> {
  const texts = (pick: (input: EncodedInput) => string | null): string =>
    textArray(inputs.map(pick));
  const [row] = await sql<{ ids: number[] }[]>`
    WITH stored AS (
      INSERT INTO input_queue (kind, hostname, rollout_id, payload, replica, together)
      SELECT kind, hostname, rollout_id, payload, CASE WHEN waits THEN ${replica} END, waits
      FROM ROWS FROM (
        unnest(
          ${texts((i) => i.kind)}::text[], ${texts((i) => i.hostname)}::text[],
          ${texts((i) => i.rolloutId)}::text[], ${plainArray(inputs.map((i) => i.waits))}::boolean[]
        ),
        json_array_elements(${jsonList(inputs.map((i) => i.payload))}::text::json)
      ) WITH ORDINALITY AS i(kind, hostname, rollout_id, waits, payload, place)
      ORDER BY place
      RETURNING id
    ), woken AS (SELECT pg_notify(current_schema() || '_in', ''))
    SELECT json_agg(id ORDER BY id) AS ids FROM stored, woken`;
  const ids = row?.ids ?? [];
  // Which of them is not known: ids alone do not say whose they are.
  if (ids.length !== inputs.length)
    throw new SwallowedError('input_queue', ids.length, inputs.length);
  return ids;
}

export interface QueueGauge {
  /** Rows waiting; counted up to `most`. */
  readonly rows: number;
  /** Of their payloads. */
  readonly bytes: number;
  /** Milliseconds since the oldest was stored; 0 when empty. */
  readonly oldestMs: number;
  /** Nothing can be stored: a standby, or a setting. */
  readonly readOnly: boolean;
  /** By this login. */
  readonly mayStore: boolean;
}

/** How much waits, looking at `most` rows at the most. */
export async function readGauge(sql: Sql, most: number): Promise<QueueGauge> {
  const [row] = await sql<(Omit<QueueGauge, 'oldestMs'> & { oldest: number | null })[]>`
    SELECT count(*)::int AS rows, coalesce(sum(pg_column_size(payload)), 0)::bigint AS bytes,
      current_setting('transaction_read_only')::boolean AS "readOnly",
      has_table_privilege('input_queue', 'INSERT') AS "mayStore",
      (SELECT extract(epoch FROM clock_timestamp() - enqueued_at)::float8 * 1000
       FROM input_queue ORDER BY id LIMIT 1) AS oldest
    FROM (SELECT payload FROM input_queue LIMIT ${most}) AS few`;
  if (row === undefined) throw new Error('the server answered nothing');
  const { oldest, ...gauge } = row;
  return { ...gauge, oldestMs: Math.max(0, oldest ?? 0) };
}
