/** A running `muster serve`: is it ready, and its clean end. For tests and benchmarks alike. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { send } from '../../src/cli/operate/transport.ts';

/** `ca`: of its certificate, where it speaks TLS. */
export async function isReady(port: number, ca?: string): Promise<boolean> {
  const url = `${ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}/readyz`;
  const tls = ca === undefined ? {} : { ca };
  const signal = AbortSignal.timeout(5_000);
  try {
    const answer = await send(url, { headers: {}, signal }, tls);
    await answer.arrayBuffer();
    return answer.ok;
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
