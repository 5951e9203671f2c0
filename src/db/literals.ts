/**
 * Array parameters as PostgreSQL literals, for `${textArray(xs)}::text[]`: one parameter for a whole batch,
 * without the driver's per-connection catalog query for array types.
 */

const SPECIAL = /["\\]/g;

/** `{"a","b",NULL}`; elements may be anything that is text. */
export function textArray(values: readonly (string | null)[]): string {
  const parts = values.map((value) =>
    value === null ? 'NULL' : `"${value.replace(SPECIAL, '\\$&')}"`,
  );
  return `{${parts.join(',')}}`;
}

/** `{1,2,NULL}` */
export function numberArray(values: readonly (number | null)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}

/** `{"\\x00ff"}` for bytea[]. */
export function byteaArray(values: readonly Uint8Array[]): string {
  return textArray(values.map((value) => `\\x${Buffer.from(value).toString('hex')}`));
}
