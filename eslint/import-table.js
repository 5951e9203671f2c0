/**
 * Who may import what: the table, and the rule that holds every file of `src` to it.
 *
 * A room is a folder of `src`, or one of the files directly in it. `api`, `leader` and `workers`
 * never meet in code, only in Postgres; the reducer imports nothing at all. What is not listed is
 * not allowed, so a new package or `node:` module is a line here, and a question in review.
 */
import path from 'node:path';

/**
 * @typedef {object} Room
 * @property {readonly string[]} rooms Other rooms; `reducer:types` allows `import type` only, and
 *   `reducer:read` also what the READ_FUNCTIONS export, which answer from state and decide nothing.
 * @property {readonly string[]} packages npm packages, with all their subpaths; `@fastify/*` a scope.
 * @property {readonly string[]} node Modules of Node, without `node:`.
 */

/** @type {Readonly<Record<string, Room | 'everything'>>} */
export const TABLE = {
  reducer: { rooms: [], packages: [], node: [] },
  wire: { rooms: ['reducer:types'], packages: ['@sinclair/typebox'], node: [] },
  trust: {
    rooms: ['wire', 'telemetry'],
    packages: ['@peculiar/x509', '@sinclair/typebox', 'canonicalize', 'reflect-metadata'],
    node: ['crypto', 'fs/promises', 'path'],
  },
  // The certificate authority: what signs for it may be another program.
  ca: {
    rooms: [],
    packages: ['@peculiar/x509', 'reflect-metadata'],
    node: ['child_process', 'crypto', 'fs/promises', 'stream'],
  },
  db: {
    rooms: ['telemetry'],
    packages: ['postgres'],
    node: ['crypto', 'events', 'fs', 'fs/promises', 'net', 'path', 'timers/promises', 'tls', 'url'],
  },
  queue: {
    rooms: ['db', 'wire', 'reducer', 'telemetry'],
    packages: [],
    node: ['crypto', 'events'],
  },
  // Files, because a detached partition may be written to one, and read from it for ever.
  eventlog: {
    rooms: ['db', 'wire', 'reducer', 'telemetry'],
    packages: [],
    node: ['crypto', 'fs', 'fs/promises', 'path', 'readline', 'stream', 'stream/promises', 'zlib'],
  },
  // `wire`, because what lies in the queue was written by another version and is decoded again.
  leader: {
    rooms: ['db', 'queue', 'eventlog', 'reducer', 'wire', 'telemetry'],
    packages: [],
    node: ['crypto', 'events'],
  },
  workers: {
    rooms: ['db', 'queue', 'trust', 'wire', 'telemetry'],
    packages: [],
    node: ['crypto', 'events', 'fs/promises', 'path', 'url'],
  },
  api: {
    rooms: ['ca', 'db', 'queue', 'eventlog', 'trust', 'wire', 'reducer:read', 'telemetry'],
    packages: ['fastify', 'fastify-plugin', '@fastify/*', '@sinclair/typebox'],
    node: [
      'crypto',
      'events',
      'fs/promises',
      'http',
      'https',
      'net',
      'path',
      'stream',
      'tls',
      'url',
    ],
  },
  agent: {
    rooms: ['reducer', 'wire', 'trust', 'telemetry'],
    packages: [],
    node: [
      'child_process',
      'crypto',
      'events',
      'fs',
      'fs/promises',
      'http',
      'https',
      'os',
      'path',
    ].concat(['timers/promises', 'tls', 'url']),
  },
  telemetry: { rooms: [], packages: ['prom-client'], node: [] },
  config: { rooms: [], packages: ['@sinclair/typebox'], node: [] },
  main: 'everything',
  cli: 'everything',
};

/** What `reducer:read` may call. */
const READ_FUNCTIONS = [
  'reducer/preview.ts',
  'reducer/planner/gates.ts',
  'reducer/read/heartbeat.ts',
  'reducer/read/quote.ts',
  'reducer/read/why.ts',
];

/**
 * Why this import is not allowed; undefined if it is.
 *
 * @param {string} src The absolute path of `src`.
 * @param {string} file The importing file.
 * @param {string} specifier As written.
 * @param {boolean} typeOnly
 * @returns {string | undefined}
 */
export function violation(src, file, specifier, typeOnly) {
  const from = roomOf(path.relative(src, file));
  const allowed = TABLE[from];
  if (allowed === undefined) return `${from} is not in the import table (eslint/import-table.js)`;
  if (specifier.startsWith('.')) {
    const target = path.relative(src, path.resolve(path.dirname(file), specifier));
    if (target.startsWith('..')) return `src does not import from outside src (${specifier})`;
    return roomViolation(from, allowed, target, typeOnly);
  }
  if (allowed === 'everything') return undefined;
  if (specifier.startsWith('node:')) {
    const name = specifier.slice('node:'.length);
    return allowed.node.includes(name) ? undefined : `${from} may not import ${specifier}`;
  }
  const name = packageOf(specifier);
  const listed = allowed.packages.some(
    (entry) => entry === name || (entry.endsWith('/*') && name.startsWith(entry.slice(0, -1))),
  );
  return listed ? undefined : `${from} may not import the package ${name}`;
}

/**
 * @param {string} from
 * @param {Room | 'everything'} allowed
 * @param {string} target Relative to `src`.
 * @param {boolean} typeOnly
 * @returns {string | undefined}
 */
function roomViolation(from, allowed, target, typeOnly) {
  const to = roomOf(target);
  if (to === from || allowed === 'everything' || allowed.rooms.includes(to)) return undefined;
  const types = allowed.rooms.includes(`${to}:types`) || allowed.rooms.includes(`${to}:read`);
  if (types && typeOnly) return undefined;
  if (allowed.rooms.includes(`${to}:read`)) {
    return READ_FUNCTIONS.includes(target)
      ? undefined
      : `${from} may import from ${to} only types and its read functions (${READ_FUNCTIONS.join(', ')})`;
  }
  return types ? `${from} may import only types from ${to}` : `${from} may not import ${to}`;
}

/** @param {string} relative `api/routes/x.ts` is of `api`, `config.ts` of `config`. */
function roomOf(relative) {
  const [first = ''] = relative.split('/');
  return first.replace(/\.ts$/, '');
}

/** @param {string} specifier `@a/b/c` is of `@a/b`, `x/y` of `x`. */
function packageOf(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** @type {import('eslint').Rule.RuleModule} */
export const importTable = {
  meta: { type: 'problem', schema: [], messages: { no: '{{why}}.' } },
  create(context) {
    const src = path.join(context.cwd, 'src');
    /** @param {import('eslint').Rule.Node} node ESLint's types know only JavaScript, hence `in`. */
    const check = (node) => {
      const source = 'source' in node ? node.source : undefined;
      if (!source) return; // `export { here }`
      const typeOnly =
        /^TS/.test(node.type) ||
        ('importKind' in node && node.importKind === 'type') ||
        ('exportKind' in node && node.exportKind === 'type');
      const why =
        'value' in source && typeof source.value === 'string'
          ? violation(src, context.filename, source.value, typeOnly)
          : 'an import with a computed name cannot be checked';
      if (why !== undefined) context.report({ node, messageId: 'no', data: { why } });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    };
  },
};
