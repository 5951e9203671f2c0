import { RuleTester } from 'eslint';
import path from 'node:path';
import tseslint from 'typescript-eslint';
import { afterAll, describe, expect, it } from 'vitest';
import { importTable, TABLE, violation } from '../../eslint/import-table.js';

RuleTester.describe = describe;
RuleTester.it = it;
RuleTester.itOnly = it.only;
Object.assign(RuleTester, { afterAll });

const inRoom = (room: string): string => path.resolve('src', room, 'file.ts');
const ok = (room: string, code: string) => ({ filename: inRoom(room), code });
const bad = (room: string, code: string, why: string) => ({
  ...ok(room, code),
  errors: [{ message: `${why}.` }],
});

new RuleTester({ languageOptions: { parser: tseslint.parser } }).run('import-table', importTable, {
  valid: [
    ok('reducer/planner', `import { reduce } from '../reduce.ts';`),
    ok('reducer', `export const here = 1; export { here as there };`),
    ok('wire', `import type { Time } from '../reducer/time.ts';`),
    ok('wire', `import { TypeCompiler } from '@sinclair/typebox/compiler';`),
    ok('trust', `import { createHash } from 'node:crypto';`),
    ok('db', `import postgres from 'postgres';`),
    ok('leader', `import { reduce } from '../reducer/reduce.ts';`),
    ok('api/routes', `import cors from '@fastify/helmet';`),
    ok('api', `import type { FleetState } from '../reducer/state/state.ts';`),
    ok('api', `import { planPreview } from '../reducer/preview.ts';`),
    ok('queue', `import type { Logger } from '../telemetry.ts';`),
    ok('cli', `import pino from 'pino'; import { main } from '../main.ts';`),
  ],
  invalid: [
    bad(
      'reducer',
      `import { createHash } from 'node:crypto';`,
      'reducer may not import node:crypto',
    ),
    bad('reducer', `import type { X } from '../wire/event.ts';`, 'reducer may not import wire'),
    bad('reducer', `import type { X } from '../telemetry.ts';`, 'reducer may not import telemetry'),
    bad(
      'reducer',
      `import x from 'canonicalize';`,
      'reducer may not import the package canonicalize',
    ),
    bad(
      'wire',
      `import { timeOf } from '../reducer/time.ts';`,
      'wire may import only types from reducer',
    ),
    bad(
      'wire',
      `import { type A } from '../reducer/time.ts';`,
      'wire may import only types from reducer',
    ),
    bad('wire', `import type { X } from '../telemetry.ts';`, 'wire may not import telemetry'),
    bad(
      'queue',
      `import type { Sql } from 'postgres';`,
      'queue may not import the package postgres',
    ),
    bad('queue', `type S = import('postgres').Sql;`, 'queue may not import the package postgres'),
    bad('agent', `import { pool } from '../db/pool.ts';`, 'agent may not import db'),
    bad('api', `import { lead } from '../leader/lead.ts';`, 'api may not import leader'),
    bad('leader', `export * from '../workers/tick.ts';`, 'leader may not import workers'),
    bad('workers', `await import('../api/app.ts');`, 'workers may not import api'),
    bad(
      'api',
      `import { reduce } from '../reducer/reduce.ts';`,
      'api may import from reducer only types and its read functions (reducer/preview.ts, reducer/planner/gates.ts, reducer/read/heartbeat.ts, reducer/read/quote.ts, reducer/read/why.ts)',
    ),
    bad('db', `import { read } from '../config.ts';`, 'db may not import config'),
    bad('db', `import fs from 'fs';`, 'db may not import the package fs'),
    bad('leader', `await import(name);`, 'an import with a computed name cannot be checked'),
    bad(
      'cli',
      `import x from '../../test/x.ts';`,
      'src does not import from outside src (../../test/x.ts)',
    ),
    bad('attic', `import x from 'x';`, 'attic is not in the import table (eslint/import-table.js)'),
  ],
});

it('lets nobody but db touch the driver, and main and cli everything', () => {
  const src = path.resolve('src');
  const holders = Object.keys(TABLE).filter(
    (room) => violation(src, path.join(src, room, 'x.ts'), 'postgres', false) === undefined,
  );
  expect(holders).toEqual(['db', 'main', 'cli']);
});
