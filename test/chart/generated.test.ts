/** What is printed from something else: `npx vitest run test/chart -u` rewrites it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import prettier from 'prettier';
import { expect, it } from 'vitest';
import { isMap, isScalar, parseDocument, type Pair } from 'yaml';
import { ConfigSchema } from '../../src/config/schema.ts';
import { CHART } from './support/helm.ts';

/** What of a setting's schema goes into the chart's. */
interface Shape {
  readonly secret?: boolean;
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly anyOf?: readonly (Shape & { readonly const?: string })[];
  readonly items?: Shape;
}

const properties: Readonly<Record<string, Shape>> = ConfigSchema.properties;

/** The chart sets these itself, from values of their own or because pods want it so. */
const OWN = [
  'schema',
  'roles',
  'listenHost',
  'listenPort',
  'publicAddress',
  'replica',
  'source',
  'trustFile',
  'tlsCertFile',
  'tlsKeyFile',
  'clientCaFile',
  'operatorCaFile',
  // Proxies would need a port of the pods.
  'proxyListen',
  'proxyAddresses',
  'proxyCaFile',
  'proxySecretFile',
];

function setting({ type, anyOf, items, ...shape }: Shape): object {
  const { minimum, maximum, pattern, minLength, maxLength } = shape;
  if (type === 'integer' || type === 'number') return { type, minimum, maximum };
  if (type === 'boolean') return { type };
  const literals = (anyOf ?? []).flatMap((one) => (one.const === undefined ? [] : [one.const]));
  if (literals.length > 0) return { type: 'string', enum: literals };
  const text = anyOf?.find((one) => one.type === 'string');
  if (text !== undefined) return setting(text);
  if (items?.pattern !== undefined) {
    const item = items.pattern.replace(/^\^|\$$/g, '');
    return { type: 'string', pattern: `^(${item}(,${item})*)?$` };
  }
  return { type: 'string', pattern, minLength, maxLength };
}

it('admits exactly the settings that there are, but for secrets and its own', async () => {
  const file = path.join(CHART, 'values.schema.json');
  const schema = JSON.parse(readFileSync(file, 'utf8')) as {
    properties: Record<string, object>;
  };
  const isOwn = ([name, of]: [string, Shape]): boolean => of.secret === true || OWN.includes(name);
  const all = Object.entries(properties);
  const settings = all.filter((one) => !isOwn(one));
  schema.properties['settings'] = {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(settings.map(([name, of]) => [name, setting(of)])),
  };
  const options = { ...(await prettier.resolveConfig(file)), filepath: file };
  await expect(await prettier.format(JSON.stringify(schema), options)).toMatchFileSnapshot(file);
});

interface Row {
  readonly name: string;
  readonly fallback: string;
  readonly about: string;
}

function clean(comment: string): string {
  const lines = comment.split('\n').map((line) => line.trim());
  // What stands before a section's title is of the section, or of the file.
  const title = lines.findLastIndex((line) => line.startsWith('@section'));
  return lines
    .slice(title + 1)
    .filter((line) => line !== '')
    .join(' ');
}

function rowsOf(pair: Pair, prefix: string, first: string | null): Row[] {
  const key = isScalar(pair.key) ? pair.key : null;
  const name = `${prefix}${String(key?.value)}`;
  const about = clean(key?.commentBefore ?? first ?? '');
  const { value } = pair;
  if (isMap(value) && value.items.length > 0 && value.flow !== true) {
    const below = value.items.flatMap((item, i) =>
      rowsOf(item, `${name}.`, i === 0 ? (value.commentBefore ?? null) : null),
    );
    return about === '' ? below : [{ name, fallback: '', about }, ...below];
  }
  const plain: unknown = value === null ? null : (value as { toJSON(): unknown }).toJSON();
  return [{ name, fallback: `\`${JSON.stringify(plain)}\``, about }];
}

function page(): string {
  const document = parseDocument(readFileSync(path.join(CHART, 'values.yaml'), 'utf8'));
  if (!isMap(document.contents)) throw new Error('values.yaml is not a map');
  const lines: string[] = [];
  document.contents.items.forEach((pair, i) => {
    const comment = isScalar(pair.key) ? pair.key.commentBefore : null;
    const before = comment ?? (i === 0 ? document.contents?.commentBefore : null) ?? '';
    const section = /@section (.*)/.exec(before)?.[1];
    if (section !== undefined)
      lines.push('', `## ${section}`, '', '| value | default | |', '|---|---|---|');
    for (const { name, fallback, about } of rowsOf(pair, '', before)) {
      lines.push(`| \`${name}\` | ${fallback.replaceAll('|', '\\|')} | ${about} |`);
    }
  });
  return lines.join('\n');
}

it('has a README from the comments of its values', async () => {
  const introduction = readFileSync(path.join(CHART, 'README.head.md'), 'utf8');
  await expect(`${introduction.trimEnd()}\n${page()}\n`).toMatchFileSnapshot(
    path.join(CHART, 'README.md'),
  );
});
