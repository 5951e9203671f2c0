/** A statement is short enough for a slow link: while it is on its way the server waits in a transaction. */
import { expect, it } from 'vitest';
import { pieces } from '../../src/eventlog/pieces.ts';

const bytesOf = (n: number): number => n;

it('keeps the order and loses nothing', () => {
  const items = Array.from({ length: 2_000 }, (_, i) => i);
  expect(pieces(items, () => 1_500).flat()).toEqual(items);
  expect(pieces([], bytesOf)).toEqual([]);
});

it('has half a megabyte in one, or a single item that is larger', () => {
  const cut = pieces([240_000, 240_000, 240_000, 3_000_000, 10, 20], bytesOf);
  expect(cut).toEqual([[240_000, 240_000], [240_000], [3_000_000], [10, 20]]);
});

it('has few enough rows of usual size', () => {
  const sizes = pieces(Array.from({ length: 1_000 }, (_, i) => i)).map((piece) => piece.length);
  expect(sizes).toEqual([400, 400, 200]);
});
