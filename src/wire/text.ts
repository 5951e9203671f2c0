/**
 * What strangers may put into a JSON text, made fit for storage. PostgreSQL refuses NUL in `text` and
 * lone surrogates in `json`, and one such value would take down every row gathered in the same statement;
 * so both become U+FFFD before the queue. Depth is capped because serialisers recurse.
 */

/** Deeper JSON is refused: twice as deep as any document of this protocol would still fit several times. */
export const MAX_NESTING = 64;

const REPLACEMENT = '\uFFFD';

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** Index of the first code unit at or after `from` that may not be stored; -1 when all may. */
function firstUnstorable(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0 || isLow(unit)) return i;
    if (isHigh(unit)) {
      if (!isLow(text.charCodeAt(i + 1))) return i;
      i += 1;
    }
  }
  return -1;
}

/** The text with each NUL and each lone surrogate replaced by U+FFFD. The usual text comes back as it is. */
export function storableText(text: string): string {
  let bad = firstUnstorable(text, 0);
  if (bad < 0) return text;
  const parts: string[] = [];
  let from = 0;
  while (bad >= 0) {
    parts.push(text.slice(from, bad), REPLACEMENT);
    from = bad + 1;
    bad = firstUnstorable(text, from);
  }
  parts.push(text.slice(from));
  return parts.join('');
}

/** True when arrays and objects nest no deeper than `limit` levels. Never recurses deeper than that. */
export function nestsWithin(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (limit === 0) return false;
  const children: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const child of children) {
    if (!nestsWithin(child, limit - 1)) return false;
  }
  return true;
}

/** A copy of a JSON value in which every text, keys included, is storable. Call only after `nestsWithin`. */
function storableJson(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [storableText(key), storableJson(child)]),
  );
}

export type ParsedJson =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

/**
 * Parses a request body. Only an escape can bring a NUL or a lone surrogate into a parsed text (raw ones
 * are a syntax error or were already replaced when the bytes were decoded), so bodies without `\u`, nearly
 * all of them, are not walked again.
 */
export function parseJsonText(text: string): ParsedJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {
      ok: false,
      problem: 'the body is not valid JSON; send one JSON object encoded as UTF-8',
    };
  }
  if (!nestsWithin(value, MAX_NESTING)) {
    return {
      ok: false,
      problem: `the body nests deeper than ${String(MAX_NESTING)} levels; send a flatter object`,
    };
  }
  return { ok: true, value: text.includes('\\u') ? storableJson(value) : value };
}

/** A JSON object (not null, not an array), for reading single members of an undecoded body. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
