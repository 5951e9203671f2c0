/**
 * The hash chain: each row's hash covers the one before it and every column, so that a row changed, removed
 * or put in between shows at once. hash = sha256(previous hash ‖ columns), each column as a 4-byte
 * big-endian length and its UTF-8 text (length ffffffff: null), in the order of `columnsOf`, `ts` as integer
 * microseconds. Plain enough to be recomputed in SQL with int4send and sha256.
 */
import { createHash, hash } from 'node:crypto';
import { millisOf } from '../reducer/time.ts';

/** What is hashed of a row. */
export interface ChainRow {
  readonly seq: number;
  readonly ts: string;
  readonly epoch: number;
  readonly kind: string;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  readonly channel: string | null;
  readonly actor: string | null;
  readonly causedBy: number | null;
  /** The JSON text as stored. */
  readonly payload: string;
}

/** Before seq 1. */
export const GENESIS: Buffer = Buffer.alloc(32);

function columnsOf(row: ChainRow): readonly (string | number | null)[] {
  const micros = millisOf(row.ts) * 1_000;
  const { seq, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload } = row;
  return [seq, micros, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload];
}

/** Reused for every row: gathering what is hashed in one place halves the cost of the chain. */
let scratch = Buffer.alloc(64 * 1_024);

/** A row that names a whole fleet has megabytes: room for it would stay for ever, and takes longer to make than to hash. */
const MOST_SCRATCH = 1024 * 1024;

const NULL_LENGTH = 0xffff_ffff;
/** A length, and at most three bytes for each unit of a text. */
const most = (text: string): number => 4 + 3 * text.length;

function put(at: number, value: string | number | null): number {
  if (value === null) return scratch.writeUInt32BE(NULL_LENGTH, at);
  const text = typeof value === 'number' ? String(value) : value;
  const bytes = scratch.write(text, at + 4, 'utf8');
  scratch.writeUInt32BE(bytes, at);
  return at + 4 + bytes;
}

export function chainHash(previous: Uint8Array, row: ChainRow): Buffer {
  const columns = columnsOf(row);
  let room = previous.length;
  for (const value of columns) room += typeof value === 'string' ? most(value) : 24;
  if (room > MOST_SCRATCH) return hashOfLarge(previous, columns);
  if (room > scratch.length) scratch = Buffer.alloc(room * 2);
  scratch.set(previous);
  let end = previous.length;
  for (const value of columns) end = put(end, value);
  return hash('sha256', scratch.subarray(0, end), 'buffer');
}

function hashOfLarge(previous: Uint8Array, columns: readonly (string | number | null)[]): Buffer {
  const sum = createHash('sha256').update(previous);
  for (const value of columns) {
    const text = Buffer.from(value === null ? '' : String(value));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value === null ? NULL_LENGTH : text.length);
    sum.update(length).update(text);
  }
  return sum.digest();
}
