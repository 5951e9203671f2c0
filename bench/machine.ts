/** Where numbers come from; they mean little without it. */
import os from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly node: string;
  readonly postgres: string;
  /** Load average of the last minute before the end: others on the machine show here. */
  readonly load: number;
}

export function machine(postgres: string): Machine {
  const cpus = os.cpus();
  return {
    cores: cpus.length,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(os.totalmem() / 1024 ** 3),
    node: process.version,
    postgres,
    load: Math.round((os.loadavg()[0] ?? 0) * 10) / 10,
  };
}
