/** What every benchmark is told on the command line, and what one looks like to `main.ts`. */
import path from 'node:path';
import { parseOptions, UsageError } from '../src/cli/io.ts';

export interface BenchOptions {
  /** Machine-readable, one object at the end. */
  readonly json: boolean;
  /** Times that every stage is repeated, stage by stage, so that a noisy minute hits all alike. */
  readonly rounds: number;
  /** Length of one stage. */
  readonly seconds: number;
  /** Names of stages or contenders; empty: all. */
  readonly only: readonly string[];
  /** A folder with another build of Muster, which takes turns with this one; null: none. */
  readonly vs: string | null;
  /** Where each `muster serve` leaves its CPU profile; null: nowhere. */
  readonly profile: string | null;
}

interface Asked extends BenchOptions {
  readonly help: boolean;
  readonly names: readonly string[];
}

/** Five rounds give a median that one disturbed round does not move; five seconds outlast a checkpoint's start. */
const DEFAULTS = { rounds: 5, seconds: 5 };

export function readOptions(args: readonly string[]): Asked {
  const { values, positionals } = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: String(DEFAULTS.rounds) },
      seconds: { type: 'string', default: String(DEFAULTS.seconds) },
      only: { type: 'string', default: '' },
      vs: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  return {
    help: values.help,
    json: values.json,
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    only: values.only.split(',').filter((name) => name !== ''),
    vs: values.vs === undefined ? null : path.resolve(values.vs),
    profile: values.profile === undefined ? null : path.resolve(values.profile),
    names: positionals,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(`${name} must be a number above 0, not ${text}`);
}

/** Those of the names that `--only` gives, or all where it is not given. */
export function chosenOf(all: readonly string[], { only }: Pick<BenchOptions, 'only'>): string[] {
  const unknown = only.find((name) => !all.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no "${unknown}": --only takes ${all.join(', ')}`);
  return all.filter((name) => only.length === 0 || only.includes(name));
}
