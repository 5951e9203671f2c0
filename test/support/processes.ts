/**
 * Real Node processes for tests, none of which outlives its test file, even if the run is killed:
 * each holds a channel to us and ends when that breaks (`end-with-parent.mjs`), and those that
 * still run are killed after the file's last hook.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export type TestProcess = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };

export interface ProcessOptions {
  /** The whole environment but PATH: a test must not depend on the caller's. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const guard = fileURLToPath(new URL('end-with-parent.mjs', import.meta.url));
const running = new Set<TestProcess>();

/** Runs `node ...args`; paths are relative to the repository unless `cwd` is given. */
export function startNode(args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const child = spawn(process.execPath, ['--import', guard, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  if (!hasPipes(child)) throw new Error('no pipes to the process'); // stdio above asks for them
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

function hasPipes(child: ChildProcess): child is TestProcess {
  return child.stdout !== null && child.stderr !== null;
}

/** For the file's last hook (`after-file.ts`). */
export async function endProcesses(): Promise<void> {
  const ending = [...running].map(async (child) => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  await Promise.all(ending);
}
