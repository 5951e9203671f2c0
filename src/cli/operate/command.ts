/** What an operator's command is: one description, from which parsing, help and completion are made. */
import type { ParseArgsConfig } from 'node:util';
import type { Client } from './client.ts';
import type { Paint } from './show.ts';
import { UsageError, type Io } from '../io.ts';

export interface OptionSpec {
  /** Absent: a switch. */
  readonly value?: string;
  /** All values there are, for completion. */
  readonly choices?: readonly string[];
  readonly short?: string;
  readonly about: string;
}

export type Options = Readonly<Record<string, OptionSpec>>;

/** What a command is given to work with. */
export interface Desk {
  readonly io: Io;
  readonly client: Client;
  readonly paint: Paint;
  readonly json: boolean;
  /** Width of the terminal; null when there is none. */
  readonly columns: number | null;
  /** By the control plane's clock. It leaps with the first answer: no measure of how long something takes here. */
  readonly now: () => number;
  /** Positional arguments by name. */
  readonly args: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** Aborts when the person has seen enough. */
  readonly signal: AbortSignal;
}

export interface OperatorVerb {
  /** `list`; empty for a command without verbs. */
  readonly verb: string;
  /** Names of positional arguments, all required. */
  readonly args: readonly string[];
  readonly about: string;
  readonly options: Options;
  readonly examples: readonly string[];
  /** Resolves with the exit code. */
  readonly run: (desk: Desk) => Promise<number>;
}

export interface OperatorNoun {
  readonly noun: string;
  readonly about: string;
  readonly verbs: readonly OperatorVerb[];
}

/** Options of every command. */
export const COMMON: Options = {
  url: { value: 'URL', about: 'the control plane (else MUSTER_URL, else the profile)' },
  token: { value: 'TOKEN', about: 'who you are (else MUSTER_TOKEN, else the profile)' },
  profile: { value: 'NAME', about: 'a profile of the config file (else MUSTER_PROFILE)' },
  json: { about: 'JSON for machines; errors too' },
  'no-color': { about: 'no colours (NO_COLOR does the same; never without a terminal)' },
  help: { short: 'h', about: 'this text' },
};

export function parseConfig(options: Options): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { value, short }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
}

export function usageOf(noun: string, { verb, args }: OperatorVerb): string {
  const names = args.map((name) => name.toUpperCase());
  return ['muster', noun, verb, ...names].filter((part) => part !== '').join(' ');
}

export function helpOf(noun: string, verb: OperatorVerb): string {
  const rows = (options: Options): string =>
    Object.entries(options)
      .map(([name, { value, short, about }]) => {
        const flag = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
        return `  ${flag.padEnd(24)} ${about}\n`;
      })
      .join('');
  const examples = verb.examples.map((line) => `  ${line}\n`).join('');
  const own = Object.keys(verb.options).length === 0 ? '' : `\n${rows(verb.options)}`;
  return `${usageOf(noun, verb)} [options]\n\n${verb.about}.\n${own}\n${rows(COMMON)}\nExamples:\n${examples}\n${EXIT_CODES}`;
}

export const EXIT_CODES = `Exit codes: 0 done · 1 refused, or the answer is no · 2 wrong usage · 3 not allowed · 4 the control
plane cannot be reached or is not ready · 5 accepted, but not decided in time (it says how to ask again).
`;

export function nounHelp({ noun, about, verbs }: OperatorNoun): string {
  const rows = verbs.map((verb) => `  ${usageOf(noun, verb).padEnd(48)}${verb.about}\n`).join('');
  return `muster ${noun}: ${about}\n\n${rows}\nmuster ${noun} VERB --help tells more.\n\n${EXIT_CODES}`;
}

export function printObject({ io }: Pick<Desk, 'io'>, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function numberOption(desk: Desk, name: string, fallback: number): number {
  const given = desk.options[name];
  if (typeof given !== 'string') return fallback;
  if (!/^[1-9]\d{0,5}$/.test(given)) throw new UsageError(`--${name} is a whole number from 1 on`);
  return Number(given);
}

export function textOption({ options }: Pick<Desk, 'options'>, name: string): string | undefined {
  const given = options[name];
  return typeof given === 'string' ? given : undefined;
}
