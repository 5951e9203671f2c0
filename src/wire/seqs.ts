/** How many log rows of what a command led to its answer names: a manifest set, or a fleet let go on, leads to thousands. */
export const MOST_SEQS = 1_000;

/** The number of those beside the ones that are `named`, in words; the answer does not say how many it leaves out. */
export function furtherRows(seqs: readonly number[], named: number): string {
  const more = String(seqs.length - named);
  return seqs.length < MOST_SEQS ? more : `at least ${more}`;
}
