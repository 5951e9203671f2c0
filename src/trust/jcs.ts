/**
 * RFC 8785 canonical bytes: what signatures are made over and what content hashes are taken of, so
 * that white space and key order of a file never matter.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from './json.ts';

/**
 * Takes only values that `parseStrict` made, or the like: the package recurses, and throws RangeError
 * on deep nesting, which the parser's cap has ruled out.
 */
export function canonicalBytes(value: Json): Uint8Array {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('a JSON value always has a canonical form');
  return Buffer.from(text, 'utf8');
}

/** Lower-case hex, as in `fleetResolvedHash`. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
