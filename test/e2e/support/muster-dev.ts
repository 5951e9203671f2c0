/** `muster dev` as a process, and what came of it. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { startNode, type TestProcess } from '../../support/processes.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** With `dir` for its data, and a soak of a second. */
export function start(dir: string, ...args: string[]): TestProcess {
  const flags = ['--data-dir', dir, '--port', '0', '--soak-seconds', '1', '--json', ...args];
  return startNode(['dist/cli/muster.js', 'dev', ...flags]);
}

/** When it has said so to people. */
export function hasSaid(child: TestProcess, what: string): Promise<void> {
  let said = '';
  return new Promise((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      said += data.toString();
      if (said.includes(what)) resolve();
    });
  });
}

/** When it has ended. */
export async function outcome(child: TestProcess): Promise<Outcome> {
  const exited = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exited;
  return { code: child.exitCode, stdout, stderr };
}
