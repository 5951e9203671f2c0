/**
 * A trigger, rule or policy that is none of ours may take rows and not store them, and the server says no word of it but the
 * count. What we were told is stored and is not would be acknowledged and lost.
 */

/** Rows that the server took and did not store. */
export class SwallowedError extends Error {
  override readonly name = 'SwallowedError';

  constructor(table: string, stored: number, sent: number) {
    super(
      `the table ${table} stored ${String(stored)} of ${String(sent)} rows: a trigger or rule on it swallows rows; "muster doctor" names it, drop it`,
    );
  }
}

/** What a statement answers that stores so many rows; rejects with a `SwallowedError` when it stored others. */
export async function allStored(
  table: string,
  sent: number,
  answer: Promise<{ readonly count: number }>,
): Promise<void> {
  const { count } = await answer;
  if (count !== sent) throw new SwallowedError(table, count, sent);
}
