/**
 * The guides cannot rot: each block of commands says in a comment above it whether it is run here as written, which
 * test does the same, or why no test can. Those of a page are run in order, as one script, against a running
 * installation, by a shell that stops at the first failure.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { startReplicas, type Replicas } from '../e2e/support/replicas.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { mountRelease } from './support/release.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const GUIDES = path.join(ROOT, 'docs/guides');
const run = promisify(execFile);

interface Block {
  /** `run`, `run by FILE`, or `not run here: REASON`; empty: none is given. */
  readonly marker: string;
  readonly script: string;
}

/** Fenced blocks of any shell, also within list items, each with the comment above it. */
function blocksOf(text: string): Block[] {
  const fence = /(?:<!-- (.*?) -->\n+)?^([ ]*)```(?:sh|bash|shell|console)\n([\s\S]*?)^[ ]*```$/gm;
  return [...text.matchAll(fence)].map(([, marker = '', indent = '', body = '']) => ({
    marker,
    script: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

const pages = readdirSync(GUIDES).map((name) => ({
  name,
  blocks: blocksOf(readFileSync(path.join(GUIDES, name), 'utf8')),
}));

describe('every block says who runs it', () => {
  it.each(pages)('$name', ({ blocks }) => {
    for (const { marker, script } of blocks) {
      expect(marker, script).toMatch(/^(run|run by \S+|not run here: .{10,})$/);
      const file = /^run by (\S+)$/.exec(marker)?.[1];
      if (file !== undefined) expect(existsSync(path.join(ROOT, file)), file).toBe(true);
    }
  });

  it('and some are run', () => {
    const ran = pages.flatMap(({ blocks }) => blocks.filter(({ marker }) => marker === 'run'));
    expect(ran.length).toBeGreaterThan(10);
  });
});

describe('what is marked "run" works as written', () => {
  let replicas: Replicas;
  beforeAll(async () => {
    replicas = await startReplicas(await mountRelease('guides'));
  });
  afterAll(() => replicas.stop());

  /** A folder as a reader has it: an unsigned release in it, and `muster` on the PATH. */
  function reader(name: string): { readonly cwd: string; readonly env: NodeJS.ProcessEnv } {
    const cwd = path.resolve(makeScratchDir(`guide-${name}`));
    cpSync(path.join(ROOT, 'test/fixtures/good'), path.join(cwd, 'release'), { recursive: true });
    for (const file of readdirSync(path.join(cwd, 'release'), {
      recursive: true,
      encoding: 'utf8',
    }))
      if (file.endsWith('.sig')) rmSync(path.join(cwd, 'release', file));
    const muster = path.join(cwd, 'muster');
    writeFileSync(muster, `#!/bin/sh\nexec ${process.execPath} ${ROOT}/dist/cli/muster.js "$@"\n`);
    chmodSync(muster, 0o755);
    const env = {
      PATH: `${cwd}:${process.env['PATH'] ?? ''}`,
      HOME: cwd,
      MUSTER_DATABASE_URL: replicas.databaseUrl,
      MUSTER_URL: replicas.url,
    };
    return { cwd, env };
  }

  const running = pages.filter(({ blocks }) => blocks.some(({ marker }) => marker === 'run'));
  it.each(running)('$name', async ({ name, blocks }) => {
    const script = blocks.filter(({ marker }) => marker === 'run').map((block) => block.script);
    const { cwd, env } = reader(name);
    const shell = ['-euxo', 'pipefail', '-c', script.join('\n')];
    const outcome = await run('bash', shell, { cwd, env }).catch((error: unknown) => error);
    expect(outcome).not.toBeInstanceOf(Error);
  });
});
