/**
 * What a killed run can leave in a data directory, and what is done about it: nothing is deleted
 * that could be data.
 *
 * PostgreSQL itself overwrites the `postmaster.pid` of a dead server, but stops short when the
 * number in it is alive again as some other process of the same user, which is the usual case
 * after a restart in a container. We look whether that process is a server on this directory.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from './postgres-binaries.ts';

/** The watchdog of a killed run stops its server within this time. */
const OLD_SERVER_GONE_WITHIN_MS = 10_000;

/** Waits for a server that is just stopping; throws if one stays; disarms a stale lock file. */
export async function clearStaleLock(
  clusterDir: string,
  log: (line: string) => void,
): Promise<void> {
  const until = Date.now() + OLD_SERVER_GONE_WITHIN_MS;
  for (let said = false; ; said = true) {
    const pid = lockedBy(clusterDir);
    if (pid === undefined || !isAlive(pid)) return;
    if (!isServerOn(pid, clusterDir)) {
      disarmLock(clusterDir);
      log(`process ${pid}, named in postmaster.pid, is not PostgreSQL: the lock was stale`);
      return;
    }
    if (Date.now() > until) {
      throw new Error(
        `A PostgreSQL server already runs on ${clusterDir} (process ${pid}): ` +
          `stop the \`muster dev\` that started it, or that process (kill -INT ${pid}).`,
      );
    }
    if (!said) log(`waiting for the PostgreSQL of an earlier run to stop (process ${pid})`);
    await delay(100);
  }
}

/** Removes `prefix<pid>…` entries whose process is gone: the workings of a killed initdb. */
export function removeDeadSiblings(dir: string, prefix: string): void {
  for (const name of fs.readdirSync(dir)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (pid === process.pid || !isAlive(pid)) {
      fs.rmSync(path.join(dir, name), { recursive: true, force: true });
    }
  }
}

function lockedBy(clusterDir: string): number | undefined {
  try {
    const text = fs.readFileSync(path.join(clusterDir, 'postmaster.pid'), 'utf8');
    const pid = Number.parseInt(text, 10);
    return pid > 0 ? pid : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function isServerOn(pid: number, clusterDir: string): boolean {
  const words = commandLine(pid);
  return words.includes('postgres') && words.includes(clusterDir);
}

function commandLine(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  if (fs.existsSync(file)) return fs.readFileSync(file, 'utf8');
  return spawnSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' }).stdout;
}

/**
 * Puts our own number in the lock: PostgreSQL ignores its parent's. Deleting the file instead would
 * also delete the shared memory key in it, by which it finds backends that outlived their server.
 */
function disarmLock(clusterDir: string): void {
  const file = path.join(clusterDir, 'postmaster.pid');
  const text = fs.readFileSync(file, 'utf8').replace(/^\d+/, String(process.pid));
  const flags = fs.constants.O_WRONLY | fs.constants.O_TRUNC | fs.constants.O_NOFOLLOW;
  const fd = fs.openSync(file, flags);
  try {
    fs.writeSync(fd, text);
  } finally {
    fs.closeSync(fd);
  }
}
