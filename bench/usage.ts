/** What processes cost: CPU time out of /proc, so Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second; 100 on every Linux that Node runs on. */
const HZ = 100;
const USER_AND_SYSTEM = [11, 12] as const;
const OF_DEAD_CHILDREN = [13, 14] as const;
const PARENT = 1;

/** Fields of /proc/PID/stat after the command, whose name may hold blanks. */
function stat(pid: number | string): readonly string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function seconds(fields: readonly string[], which: readonly number[]): number {
  return which.reduce((sum, field) => sum + Number(fields[field] ?? 0), 0) / HZ;
}

/** CPU seconds of one process so far. */
export function cpuOf(pid: number): number {
  const fields = stat(pid);
  return fields === null ? 0 : seconds(fields, USER_AND_SYSTEM);
}

/** The same of a postmaster and all its backends, those that ended included. */
export function cpuOfFamily(pid: number): number {
  const own = stat(pid);
  if (own === null) return 0;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(stat)
    .filter((fields) => fields?.[PARENT] === String(pid))
    .map((fields) => seconds(fields ?? [], USER_AND_SYSTEM));
  const all = [...USER_AND_SYSTEM, ...OF_DEAD_CHILDREN];
  return children.reduce((a, b) => a + b, seconds(own, all));
}

/** Memory of one process in MB, as the kernel counts it. */
export function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024);
}

/** CPU seconds that the whole machine has spent so far, idling and waiting excluded. */
export function cpuOfMachine(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / HZ;
}
