/** How many rows a command led to, of which its answer names a thousand. */
import { expect, it } from 'vitest';
import { furtherRows, MOST_SEQS } from '../../src/wire/seqs.ts';

it('does not take the rows that are named for all of them', () => {
  const seqs = Array.from({ length: MOST_SEQS }, (_, i) => i + 1);
  expect(furtherRows(seqs.slice(1), 1)).toBe('998');
  expect(furtherRows(seqs, 1)).toBe('at least 999');
});
