/** What the documentation shows as an answer is one. */
import { Value } from '@sinclair/typebox/value';
import { KindGuard } from '@sinclair/typebox';
import { expect, it } from 'vitest';
import * as access from '../../src/wire/access.ts';
import * as command from '../../src/wire/command.ts';
import * as operator from '../../src/wire/operator.ts';
import * as overview from '../../src/wire/overview.ts';
import * as why from '../../src/wire/why.ts';

const exported: readonly (readonly [string, unknown])[] = Object.entries({
  ...access,
  ...command,
  ...operator,
  ...overview,
  ...why,
});
const schemas = exported.flatMap(([name, value]) =>
  KindGuard.IsSchema(value) && Array.isArray(value['examples']) ? [[name, value] as const] : [],
);

it.each(schemas)('%s', (_name, schema) => {
  const examples = schema['examples'] as readonly unknown[];
  for (const example of examples) {
    expect([...Value.Errors(schema, example)].map(({ path, message }) => path + message)).toEqual(
      [],
    );
  }
});

it('covers the answers of operators', () => {
  expect(schemas.length).toBeGreaterThan(15);
});
