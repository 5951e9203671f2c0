/**
 * How much goes in one statement, there or back, where many go together. While a statement is on its way the server waits
 * in a transaction, and its answer takes of the time that it has: 5 s at the most (`leader/writer.ts`, `leader/beside.ts`).
 * Over a link of 2 Mbit/s that is 1.25 MB; a claim of 4 MB ended each term of a leader behind one, for ever.
 */

/** 2.4 s over 2 Mbit/s. A single item may be larger, and wants a faster link. */
export const STATEMENT_BYTES = 600_000;

/** Of a text, as it is sent: in many languages a character has two or three. */
export function bytesOf(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
