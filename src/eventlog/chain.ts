/**
 * The hash chain: each row's hash covers the one before it and every column, so that a row changed, removed
 * or put in between shows at once. hash = sha256(previous hash ‖ columns), each column as a 4-byte
 * big-endian length and its UTF-8 text (length ffffffff: null), in the order of `columnsOf`, `ts` as integer
 * microseconds. Plain enough to be recomputed in SQL with int4send and sha256.
 */
import { createHash, type Hash } from 'node:crypto';
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

const NULL_LENGTH = Buffer.from('ffffffff', 'hex');

function columnsOf(row: ChainRow): readonly (string | number | null)[] {
  const micros = millisOf(row.ts) * 1_000;
  const { seq, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload } = row;
  return [seq, micros, epoch, kind, hostname, rolloutId, channel, actor, causedBy, payload];
}

function feed(hash: Hash, value: string | number | null): void {
  if (value === null) {
    hash.update(NULL_LENGTH);
    return;
  }
  const bytes = Buffer.from(String(value), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  hash.update(length).update(bytes);
}

export function chainHash(previous: Uint8Array, row: ChainRow): Buffer {
  const hash = createHash('sha256').update(previous);
  for (const value of columnsOf(row)) feed(hash, value);
  return hash.digest();
}
