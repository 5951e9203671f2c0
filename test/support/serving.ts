/** A running `muster serve`: is it ready, and its clean end. For tests and benchmarks alike. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch {
    return false;
  }
}

/** SIGTERM, until it is gone; at once when it is already. */
export async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}
