/** Where numbers come from; they mean little without it. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly node: string;
  /** Null: none was asked. */
  readonly postgres: string | null;
  /** What was measured; `unknown` outside a clone. */
  readonly commit: string;
  /** Load average of the last minute before the end: others on the machine show here. */
  readonly load: number;
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=7'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

export function machine(postgres: string | null): Machine {
  const cpus = os.cpus();
  return {
    cores: cpus.length,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(os.totalmem() / 1024 ** 3),
    node: process.version,
    postgres,
    commit: commit(),
    load: Math.round((os.loadavg()[0] ?? 0) * 10) / 10,
  };
}
