/**
 * The child processes of `muster dev`: each with a log file, a lifeline to this process, and a place in a
 * process group of its own, so that a Ctrl-C in the terminal reaches dev alone and dev decides the order.
 *
 * One that dies on its own is started again, as a supervisor in production would; one that keeps dying is a
 * failure of the whole run, told with the end of its log.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../config/loaded.ts';

export interface ProcessSpec {
  readonly name: string;
  /** A module beside this one, or above: `../muster.js`. */
  readonly module: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly logDir: string;
  /** How long it may take to stop before it is killed. */
  readonly stopMs: number;
}

export interface Supervised {
  readonly name: string;
  /** Rejects when it kept dying; never resolves otherwise. */
  readonly failed: Promise<never>;
  isRunning(): boolean;
  /** SIGKILL, as a crash would; it is then started again. */
  kill9(): void;
  /** SIGTERM and wait; SIGKILL if that takes too long. It stays down. */
  stop(): Promise<void>;
}

/** Long enough for a port to be free again and to read along; short against a failover. */
const RESTART_AFTER_MS = 500;
/** Dying this young, this often in a row, is no accident. */
const YOUNG_MS = 10_000;
const MAX_YOUNG_DEATHS = 5;
const TAIL_LINES = 15;

export function supervise(spec: ProcessSpec, say: (line: string) => void): Supervised {
  let child = launch(spec);
  let stopping = false;
  let youngDeaths = 0;
  let giveUp: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  failed.catch(() => undefined); // whoever waits for it hears of it
  const watch = (current: ChildProcess, bornAt: number): void => {
    current.once('exit', (code, signal) => {
      if (stopping) return;
      youngDeaths = Date.now() - bornAt < YOUNG_MS ? youngDeaths + 1 : 1;
      const how = signal ?? `exit code ${code}`;
      if (youngDeaths >= MAX_YOUNG_DEATHS) {
        giveUp(new Error(`${spec.name} does not stay up (${how}). Its log ends:\n${tail(spec)}`));
        return;
      }
      say(`${spec.name} died (${how}); starting it again`);
      setTimeout(() => {
        if (stopping) return;
        child = launch(spec);
        watch(child, Date.now());
      }, RESTART_AFTER_MS);
    });
  };
  watch(child, Date.now());
  return {
    name: spec.name,
    failed,
    isRunning: () => isUp(child),
    kill9: () => void child.kill('SIGKILL'),
    stop: async () => {
      stopping = true;
      await end(child, spec.stopMs);
    },
  };
}

/** Runs a module to its end; throws with the end of its log if that is not exit code 0. */
export async function runToEnd(spec: ProcessSpec): Promise<void> {
  const child = launch(spec);
  const code = await exitOf(child);
  if (code !== 0) throw new Error(`${spec.name} failed (${code}). Its log ends:\n${tail(spec)}`);
}

export function logFileOf(spec: Pick<ProcessSpec, 'name' | 'logDir'>): string {
  return path.join(spec.logDir, `${spec.name}.log`);
}

function launch(spec: ProcessSpec): ChildProcess {
  mkdirSync(spec.logDir, { recursive: true });
  const log = openSync(logFileOf(spec), 'a');
  const lifeline = new URL('./lifeline.js', import.meta.url).href;
  const entry = fileURLToPath(new URL(spec.module, import.meta.url));
  try {
    return spawn(process.execPath, ['--import', lifeline, entry, ...spec.args], {
      env: { ...spec.env },
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

function isUp(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function end(child: ChildProcess, stopMs: number): Promise<void> {
  if (!isUp(child)) return;
  const gone = exitOf(child);
  child.kill('SIGTERM');
  const patience = new AbortController();
  const late = delay(stopMs, 'late', { signal: patience.signal }).catch(() => 'gone');
  if ((await Promise.race([gone, late])) === 'late') {
    child.kill('SIGKILL');
    await gone;
  }
  patience.abort();
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
}

function tail(spec: ProcessSpec): string {
  const lines = readFileSync(logFileOf(spec), 'utf8').trimEnd().split('\n');
  return lines
    .slice(-TAIL_LINES)
    .map((line) => `  ${line}`)
    .join('\n');
}
