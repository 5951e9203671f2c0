/** Writing the log: rows become chained, and one statement inserts a batch. Only the leader calls this. */
import type { Sql } from '../db/driver.ts';
import { hexArray, jsonList, plainArray, textArray } from '../db/literals.ts';
import { allStored } from '../db/swallowed.ts';
import type { LogEntry, LogKind } from '../reducer/log.ts';
import { finish, type Sliced } from '../reducer/slices.ts';
import type { Time } from '../reducer/time.ts';
import { encoding } from '../wire/log.ts';
import { chainHash, type ChainRow } from './chain.ts';

export interface NewRow extends ChainRow {
  readonly kind: LogKind;
  readonly hash: Buffer;
}

/** Chains the entries of one input onto `previous`. */
export function chainEntries(
  entries: readonly LogEntry[],
  ts: Time,
  epoch: number,
  previous: Uint8Array,
): NewRow[] {
  return finish(chaining(entries, ts, epoch, previous));
}

/** Rows hashed in one step: some milliseconds. */
const STEP_ROWS = 256;

/** The same in short steps. */
export function* chaining(
  entries: readonly LogEntry[],
  ts: Time,
  epoch: number,
  previous: Uint8Array,
): Sliced<NewRow[]> {
  const rows: NewRow[] = [];
  let last = previous;
  for (const entry of entries) {
    const { seq, kind, hostname, rolloutId, channel, actor, causedBy } = entry;
    const payload = yield* encoding(entry, { ts, hostname, rolloutId, channel });
    const row = { seq, ts, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload };
    const hash = chainHash(last, row);
    last = hash;
    rows.push({ ...row, hash });
    if (rows.length % STEP_ROWS === 0) yield;
  }
  return rows;
}

/** One statement. Rejects when the server did not store them all. */
export function insertRows(sql: Sql, rows: readonly NewRow[]): Promise<void> {
  const numbers = (pick: (row: NewRow) => number | null): string => plainArray(rows.map(pick));
  const texts = (pick: (row: NewRow) => string | null): string => textArray(rows.map(pick));
  const inserted = sql`
    INSERT INTO event_log
      (seq, ts, epoch, kind, hostname, rollout_id, channel, actor, caused_by, payload, hash)
    SELECT seq, ts, epoch, kind, hostname, rollout_id, channel, actor, caused_by, payload,
      decode(hash, 'hex')
    FROM ROWS FROM (
      unnest(
        ${numbers((r) => r.seq)}::bigint[], ${texts((r) => r.ts)}::timestamptz[],
        ${numbers((r) => r.epoch)}::bigint[], ${texts((r) => r.kind)}::text[],
        ${texts((r) => r.hostname)}::text[], ${texts((r) => r.rolloutId)}::text[],
        ${texts((r) => r.channel)}::text[], ${texts((r) => r.actor)}::text[],
        ${numbers((r) => r.causedBy)}::bigint[], ${hexArray(rows.map((r) => r.hash))}::text[]
      ),
      json_array_elements(${jsonList(rows.map((r) => r.payload))}::text::json)
    ) AS r(seq, ts, epoch, kind, hostname, rollout_id, channel, actor, caused_by, hash, payload)`;
  return allStored('event_log', rows.length, inserted.execute());
}

/** Seqs that the head may grow by before the next look: a partition is always there ahead of it. */
const AHEAD = 1_000_000;

/** Makes the partitions that hold the next million rows; returns how many were new. */
export async function makePartitionsAhead(sql: Sql, headSeq: number): Promise<number> {
  const [row] = await sql<{ made: number }[]>`
    SELECT event_log_make_partitions(${headSeq + AHEAD}) AS made`;
  return row?.made ?? 0;
}
