/**
 * One `muster dev` per data directory. The lock names its owner by process id and start time, so that one
 * left by a killed run, whose number some other process may have by now, is seen for what it is.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorCode, UsageError } from '../io.ts';

/** Takes the lock; the answer releases it. */
export function lockDirectory(dir: string): () => void {
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, 'dev.lock');
  const mine = `${process.pid} ${startOf(process.pid)}\n`;
  // Two rounds: a stale lock is removed once; whoever then finds a new one was not first.
  for (let round = 0; round < 2; round += 1) {
    try {
      writeFileSync(file, mine, { flag: 'wx' });
      return () => release(file, mine);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const owner = read(file);
    if (owner !== null && isRunning(owner)) throw taken(dir, owner);
    rmSync(file, { force: true });
  }
  throw taken(dir, read(file));
}

function taken(dir: string, owner: Owner | null): UsageError {
  const who = owner === null ? 'another process' : `process ${owner.pid}`;
  return new UsageError(
    `\`muster dev\` is already running on ${dir} (${who}): stop it first, or give this one another --data-dir`,
  );
}

function release(file: string, mine: string): void {
  if (readText(file) === mine) rmSync(file, { force: true });
}

interface Owner {
  readonly pid: number;
  readonly startedAt: string;
}

function read(file: string): Owner | null {
  const [pid, startedAt] = (readText(file) ?? '').trim().split(' ');
  return pid === undefined || !/^\d+$/.test(pid)
    ? null
    : { pid: Number(pid), startedAt: startedAt ?? '' };
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function isRunning(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
  }
  return startOf(owner.pid) === owner.startedAt;
}

/** Clock ticks since boot at which a process began (Linux); elsewhere the number alone has to do. */
function startOf(pid: number): string {
  const stat = process.platform === 'linux' ? readText(`/proc/${pid}/stat`) : null;
  // The name, in parentheses, may hold anything; the 20th field after it is the start time.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}
