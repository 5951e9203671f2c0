/** What every benchmark is told on the command line, and what one looks like to `main.ts`. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Machine-readable, one object at the end. */
  readonly json: boolean;
  /** Times that every stage is repeated, stage by stage, so that a noisy minute hits all alike. */
  readonly rounds: number;
  /** Length of one stage. */
  readonly seconds: number;
}

/** Five rounds give a median that one disturbed round does not move; five seconds outlast a checkpoint's start. */
const DEFAULTS = { rounds: 5, seconds: 5 };

export function readOptions(args: readonly string[]): BenchOptions & { readonly names: string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: String(DEFAULTS.rounds) },
      seconds: { type: 'string', default: String(DEFAULTS.seconds) },
    },
  });
  return {
    json: values.json,
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    names: positionals,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`${name} must be a number above 0, not ${text}`);
}
