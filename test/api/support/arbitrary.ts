/** Values that a JSON schema of our own OpenAPI document admits, and values that it may not. */
import fc from 'fast-check';

export type JsonSchema = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly JsonSchema[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function numberOr(value: unknown, other: number): number {
  return typeof value === 'number' ? value : other;
}

/** What an attacker's alphabet has: quotes, controls, lone surrogates, path and header syntax. */
export const NASTY = fc.oneof(
  fc.constantFrom(
    ...[
      '',
      ' ',
      '\u0000',
      '\ud800',
      '../..',
      '%',
      '%00',
      "' OR 1=1 --",
      '__proto__',
      '-0',
      '1e309',
    ],
    ...[
      '9'.repeat(400),
      'a'.repeat(5_000),
      '<script>',
      '\u202e',
      '{"a":1}',
      '*',
      '\\',
      'stable@zz',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

const ANYTHING = fc.jsonValue({ maxDepth: 3, noUnicodeString: false });

function textOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { pattern, format } = schema;
  const sized = {
    minLength: numberOr(schema['minLength'], 0),
    maxLength: numberOr(schema['maxLength'], 60),
  };
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern, 'u'));
  if (format === 'date-time') return instant();
  return fc.oneof(fc.string(sized), instant());
}

function instant(): fc.Arbitrary<string> {
  return fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') })
    .map((d) => d.toISOString());
}

function objectOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : [];
  const shape = Object.fromEntries(
    Object.entries(properties).map(([name, of]) => [name, valuesOf(isObject(of) ? of : {})]),
  );
  return fc.record(shape, { requiredKeys: required.filter((name) => name in shape) });
}

/** Values of a schema. What it does not narrow is anything at all. */
export function valuesOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema['const']);
  if (Array.isArray(schema['enum']))
    return fc.constantFrom<unknown>(...(schema['enum'] as unknown[]));
  const choices = [...listOf(schema['anyOf']), ...listOf(schema['oneOf'])];
  if (choices.length > 0) return fc.oneof(...choices.map(valuesOf));
  switch (schema['type']) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return fc.integer({
        min: numberOr(schema['minimum'], -10),
        max: numberOr(schema['maximum'], Number.MAX_SAFE_INTEGER),
      });
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const items = schema['items'];
      return fc.array(valuesOf(isObject(items) ? items : {}), { maxLength: 4 });
    }
    case 'object':
      return objectOf(schema);
    default:
      return ANYTHING;
  }
}

/** A value of the schema with one thing wrong, or nothing like it. */
export function almost(schema: JsonSchema): fc.Arbitrary<unknown> {
  const broken = fc
    .tuple(valuesOf(schema), fc.nat(), fc.oneof(ANYTHING, NASTY))
    .map(([value, at, wrong]) => {
      if (!isObject(value)) return wrong;
      const names = Object.keys(value);
      const name = names[at % Math.max(1, names.length)] ?? 'extra';
      return { ...value, [name]: wrong };
    });
  return fc.oneof({ weight: 4, arbitrary: broken }, { weight: 1, arbitrary: ANYTHING });
}
