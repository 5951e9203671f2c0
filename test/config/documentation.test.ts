/** docs/configuration.md is printed from the schema: `npx vitest run test/config -u` rewrites it. */
import type { TSchema } from '@sinclair/typebox';
import { expect, it } from 'vitest';
import { ConfigSchema } from '../../src/config/schema.ts';
import { envName, flagName } from '../../src/config.ts';

const INTRODUCTION = `# Configuration

Every setting of \`muster serve\` is an environment variable and a flag; the flag wins. An empty variable
counts as unset. Limits are checked against each other at start, and everything that is wrong is reported
at once. A \`MUSTER_\` variable that is no setting is named in the log, and ignored. \`muster migrate\` reads the database settings only. Durations accept fractions unless the value
is said to be whole. Settings marked *secret* are never logged.

This page is printed from \`src/config/schema.ts\`; a test fails when the two differ
(\`npx vitest run test/config -u\` rewrites it).
`;

const properties: Readonly<Record<string, TSchema>> = ConfigSchema.properties;

function values(schema: TSchema): string {
  const kind: unknown = schema['type'];
  if (kind === 'integer' || kind === 'number') {
    const name = kind === 'integer' ? 'whole number' : 'number';
    return `${name}, ${String(schema['minimum'])} … ${String(schema['maximum'])}`;
  }
  if (kind === 'boolean') return '`true`, `false` (`yes`/`no`, `on`/`off`, `1`/`0` mean the same)';
  const example: unknown = schema['example'];
  return typeof example === 'string' ? `such as \`${example}\`` : 'text';
}

function fallback(schema: TSchema, name: string): string {
  const value: unknown = schema.default;
  if (value === null) return name === 'databaseUrl' ? '**required**' : 'unset';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return 'empty';
  return `\`${Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function section(group: string): string {
  const rows = Object.entries(properties).filter(([, schema]) => schema['group'] === group);
  const blocks = rows.map(([name, schema]) => {
    const secret = schema['secret'] === true ? ' · *secret*' : '';
    const facts = `default ${fallback(schema, name)} · ${values(schema)}${secret}`;
    return `### \`${envName(name)}\` · \`${flagName(name)}\`\n\n${facts}\n\n${schema.description ?? ''}\n`;
  });
  return `## ${group}\n\n${blocks.join('\n')}`;
}

it('documents every setting exactly as the schema has it', async () => {
  const groups = new Set(Object.values(properties).map((schema) => String(schema['group'])));
  const page = [INTRODUCTION, ...[...groups].map(section)].join('\n');
  await expect(page).toMatchFileSnapshot('../../docs/configuration.md');
});
