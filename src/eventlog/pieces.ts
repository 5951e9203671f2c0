/** How a batch is cut into statements. */
import { STATEMENT_BYTES } from '../db/slow-link.ts';

/** As many as it holds of rows of some 1.5 kB at the most. */
const ROWS_PER_STATEMENT = 400;

/** `items` in pieces of at most so many bytes, or of one item: the opening of a rollout of 100,000 hosts has 3 MB. */
export function pieces<T>(
  items: readonly T[],
  bytesOf: (item: T) => number = () => STATEMENT_BYTES / ROWS_PER_STATEMENT,
): (readonly T[])[] {
  const found: T[][] = [];
  let last: T[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const more = bytesOf(item);
    if (bytes + more > STATEMENT_BYTES) {
      last = [];
      found.push(last);
      bytes = 0;
    }
    last.push(item);
    bytes += more;
  }
  return found;
}
