/**
 * Array parameters as PostgreSQL literals, for `${textArray(xs)}::text[]`: one parameter for a whole batch,
 * without the driver's per-connection catalog query for array types.
 *
 * JSON goes as one JSON list, `json_array_elements(${jsonList(xs)}::text::json)`, which gives each element
 * back as written: as texts, each of its quotes would be escaped here and unescaped there, which took more
 * time than all else of a log row.
 */

const IS_SPECIAL = /["\\]/;
const SPECIAL = /["\\]/g;

function quoted(value: string): string {
  return IS_SPECIAL.test(value) ? `"${value.replace(SPECIAL, '\\$&')}"` : `"${value}"`;
}

/** `{"a","b",NULL}`; elements may be anything that is text. */
export function textArray(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`;
}

/** `{1,2,true,NULL}` */
export function plainArray(values: readonly (number | boolean | null)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}

/** `{00ff}` for `decode(hex, 'hex')` */
export function hexArray(values: readonly Uint8Array[]): string {
  return `{${values.map((value) => Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')).join(',')}}`;
}

/** `{"\\x00ff"}` for bytea[]. */
export function byteaArray(values: readonly Uint8Array[]): string {
  return textArray(values.map((value) => `\\x${Buffer.from(value).toString('hex')}`));
}

/** JSON texts as one JSON list. */
export function jsonList(values: readonly string[]): string {
  return `[${values.join(',')}]`;
}
