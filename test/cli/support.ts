/** Runs a command as a function and keeps what it wrote. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { Io } from '../../src/cli/io.ts';

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  /** The last line of stdout as JSON; null when it is none. */
  json: unknown;
}

export async function run(
  command: (args: string[], io: Io) => Promise<number>,
  ...args: string[]
): Promise<Outcome> {
  const out = { stdout: '', stderr: '' };
  const code = await command(args, {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
  });
  return { code, ...out, json: lastLine(out.stdout) };
}

function lastLine(stdout: string): unknown {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? JSON.parse(line) : null;
}

/** A directory of the test's own; call at the top of a file. */
export function temporaryDirectory(): (name: string) => string {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'muster-cli-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  return (name) => join(dir, name);
}
