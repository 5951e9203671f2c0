/**
 * What every command is given instead of `process`, so that tests run commands as functions, and the exit
 * codes they share.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs, type ParseArgsConfig } from 'node:util';

export interface Io {
  /** All but the first are there on a terminal. */
  stdout: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  stderr: { write(text: string): unknown };
}

/**
 * 0: done; 1: the answer is no; 2: the question could not be asked (usage, unreadable file). Of operator
 * commands: 3: not allowed; 4: the control plane cannot be reached or is not ready; 5: accepted, undecided;
 * 74: the output could not be written, as sysexits.h says it; 130: stopped by Ctrl-C before there was an answer, as a shell says it.
 */
export const EXIT = {
  ...{ ok: 0, no: 1, usage: 2, denied: 3, unavailable: 4, undecided: 5 },
  unwritable: 74,
  interrupted: 130,
} as const;

/** A mistake of the caller's, in a sentence that says what to do. Ends a command with exit code 2. */
export class UsageError extends Error {}

/** `util.parseArgs`, with its errors as usage errors. */
export function parseOptions<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'the options cannot be read');
  }
}

export async function readInput(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new UsageError(
      `cannot read ${what} ${path} (${errorCode(error)}): check the path and its permissions`,
    );
  }
}

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown error';
}

export function printJson(io: Io, value: object): void {
  io.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Says what is wrong to people and, with `--json`, to machines; gives the exit code on. */
export function fail(
  io: Io,
  { command, json }: { readonly command: string; readonly json: boolean },
  code: number,
  problem: string,
): number {
  io.stderr.write(`muster ${command}: ${problem}\n`);
  if (json) printJson(io, { ok: false, error: problem });
  return code;
}
