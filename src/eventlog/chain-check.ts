/** Follows the chain of a log row by row, and keeps the first thing that is wrong with it. */
import { chainHash, GENESIS, type ChainRow } from './chain.ts';

/** A row's place in the chain. */
export interface Link {
  readonly seq: number;
  readonly hash: Uint8Array;
}

interface ChainedRow extends ChainRow {
  readonly hash: Uint8Array;
}

export class ChainCheck {
  /** The last row taken; where it began when there was none. */
  seq: number;
  hash: Uint8Array;
  /** The first seq that is missing; null when none is. */
  missing: number | null = null;
  /** The first seq whose hash does not follow, or is not the pinned one; null when all do. */
  brokenAt: number | null = null;
  private readonly pin: Link | null;

  /** `from`: the row before the first. `pin`: a row that must be what is known of it from elsewhere. */
  constructor(from: Link | null, pin: Link | null = null) {
    this.seq = from?.seq ?? 0;
    this.hash = from?.hash ?? GENESIS;
    this.pin = pin;
    this.comparePin();
  }

  get whole(): boolean {
    return this.missing === null && this.brokenAt === null;
  }

  take(row: ChainedRow): void {
    if (row.seq !== this.seq + 1) this.missing ??= this.seq + 1;
    if (this.brokenAt === null && !chainHash(this.hash, row).equals(row.hash))
      this.brokenAt = row.seq;
    this.hash = row.hash;
    this.seq = row.seq;
    this.comparePin();
  }

  /** At the end: the last row must have been this one, or one after it. */
  reach(seq: number): void {
    if (this.seq < seq) this.missing ??= this.seq + 1;
  }

  private comparePin(): void {
    if (this.seq !== this.pin?.seq) return;
    if (Buffer.compare(this.hash, this.pin.hash) !== 0) this.brokenAt ??= this.seq;
  }
}
