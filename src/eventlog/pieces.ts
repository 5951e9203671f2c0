/** How a batch is cut into statements. */

/**
 * Of one statement, in characters. While it is on its way the server waits in a transaction, for 5 s at the most (`leader/writer.ts`):
 * over a link of 2 Mbit/s that is 1.25 MB. A single row may be larger (the opening of a rollout of 100,000 hosts has
 * 3 MB), and wants a faster one.
 */
const MOST_CHARS = 600_000;
/** The same, of rows of some 1.5 kB at the most. */
const ROWS_PER_STATEMENT = 400;

/** `items` in pieces of at most so many characters, or of one item. */
export function pieces<T>(
  items: readonly T[],
  charsOf: (item: T) => number = () => MOST_CHARS / ROWS_PER_STATEMENT,
): (readonly T[])[] {
  const found: T[][] = [];
  let last: T[] = [];
  let chars = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const more = charsOf(item);
    if (chars + more > MOST_CHARS) {
      last = [];
      found.push(last);
      chars = 0;
    }
    last.push(item);
    chars += more;
  }
  return found;
}
