/** Runs an operator command: options, profile, client, the verb itself, and errors as sentences or JSON. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  clientConfigPath,
  loadClientConfig,
  wantsColour,
  type ClientConfig,
} from '../../config/client.ts';
import { environment } from '../../config.ts';
import type { Environment } from '../../config/loaded.ts';
import { unsendable } from '../../wire/token.ts';
import { errorCode, EXIT, parseOptions, UsageError, type Io } from '../io.ts';
import { sizeOf } from '../picture.ts';
import { createClient, OperateError, type Proof } from './client.ts';
import {
  COMMON,
  helpOf,
  nounHelp,
  parseConfig,
  textOption,
  usageOf,
  type Desk,
  type OperatorNoun,
  type OperatorVerb,
} from './command.ts';
import { NOUNS } from './nouns.ts';
import { painter } from './show.ts';

/** `muster NOUN …` as a function of its arguments. */
export function operate(name: string): (args: string[], io: Io) => Promise<number> {
  return (args, io) => runNoun(name, args, io, environment());
}

export async function runNoun(
  name: string,
  args: readonly string[],
  io: Io,
  env: Environment,
): Promise<number> {
  const noun = NOUNS.find((one) => one.noun === name);
  if (noun === undefined) throw new Error(`no operator command ${name}`);
  const json = args.includes('--json');
  try {
    const found = verbOf(noun, args, io);
    return typeof found === 'number' ? found : await runVerb(noun, found, io, env);
  } catch (error) {
    return complain(io, json, error);
  }
}

interface Found {
  readonly verb: OperatorVerb;
  readonly rest: readonly string[];
}

function verbOf(noun: OperatorNoun, args: readonly string[], io: Io): Found | number {
  const [only] = noun.verbs;
  if (only?.verb === '') return { verb: only, rest: args };
  const [given, ...rest] = args;
  const verb = noun.verbs.find((one) => one.verb === given);
  if (verb !== undefined) return { verb, rest };
  if (given === undefined || given === '--help' || given === '-h') {
    io.stdout.write(nounHelp(noun));
    return given === undefined ? EXIT.usage : EXIT.ok;
  }
  const known = noun.verbs.map((one) => one.verb).join(', ');
  throw new UsageError(`muster ${noun.noun} has no verb ${given}; it has ${known}`);
}

async function runVerb(
  noun: OperatorNoun,
  { verb, rest }: Found,
  io: Io,
  env: Environment,
): Promise<number> {
  const { values, positionals } = parseOptions({
    args: [...rest],
    options: parseConfig({ ...verb.options, ...COMMON }),
    allowPositionals: true,
    strict: true,
  });
  if (values['help'] === true) {
    io.stdout.write(helpOf(noun.noun, verb));
    return EXIT.ok;
  }
  if (positionals.length !== verb.args.length) {
    throw new UsageError(`write ${usageOf(noun.noun, verb)}; --help tells more`);
  }
  const options = values as Desk['options'];
  const { config, proof } = await configOf(options, env);
  const stop = new AbortController();
  const onInterrupt = (): void => {
    stop.abort();
  };
  process.once('SIGINT', onInterrupt);
  const terminal = io.stdout.isTTY === true;
  const json = options['json'] === true;
  const client = createClient(config, proof, { forPeople: !json, signal: stop.signal });
  try {
    return await verb.run({
      ...{ io, options, signal: stop.signal, json, client },
      paint: painter(terminal && options['no-color'] !== true && wantsColour(env)),
      columns: terminal ? sizeOf(io.stdout).columns : null,
      now: () => client.clock.now(),
      args: Object.fromEntries(verb.args.map((name, i) => [name, positionals[i] ?? ''])),
    });
  } finally {
    process.removeListener('SIGINT', onInterrupt);
  }
}

async function configOf(
  options: Desk['options'],
  env: Environment,
): Promise<{ readonly config: ClientConfig; readonly proof: Proof }> {
  const text = (name: string): string | undefined => textOption({ options }, name);
  const file = clientConfigPath(env);
  const content = file === null ? null : await readIfThere(file);
  const flags = { url: text('url'), token: text('token'), profile: text('profile') };
  const loaded = loadClientConfig(flags, env, content);
  if (!loaded.ok) throw new UsageError(loaded.problems.join('; '));
  const { config } = loaded;
  const read = (setting: string, name: string | null): Promise<string | undefined> =>
    ofProfile(path.dirname(file ?? '.'), setting, name);
  const [token, ca, cert, key] = await Promise.all([
    read('tokenFile', config.tokenFile),
    read('caFile', config.tlsFiles.ca),
    read('certFile', config.tlsFiles.cert),
    read('keyFile', config.tlsFiles.key),
  ]);
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
  return { config, proof: { token: tokenOf(config, token), tls } };
}

/** `ofFile`: what the profile's file holds, where that is asked. */
function tokenOf({ token, tokenFrom, tokenFile }: ClientConfig, ofFile?: string): string | null {
  const given = (ofFile ?? token)?.trim() ?? null;
  const wrong = given === null ? null : unsendable(given);
  if (wrong === null) return given;
  const from = ofFile === undefined ? tokenFrom : `the profile's tokenFile ${tokenFile ?? ''}`;
  throw new UsageError(`the token of ${from} ${wrong}`);
}

/** A file that a profile names; undefined where it names none. */
async function ofProfile(
  folder: string,
  setting: string,
  name: string | null,
): Promise<string | undefined> {
  if (name === null) return undefined;
  const from = path.resolve(folder, name);
  const content = await readIfThere(from);
  if (content === null) throw new UsageError(`the profile's ${setting} ${from} is not there`);
  // An empty token would be none, and the answer one of a caller whom nobody knows.
  if (content.trim() === '' && setting === 'tokenFile')
    throw new UsageError(`the profile's ${setting} ${from} is empty: put the token there`);
  return content;
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    // A pipe that nobody writes to would be waited for, and no signal ends such a wait.
    if ((await stat(file)).isFile()) return (await readFile(file, 'utf8')).replace(/^\ufeff/, '');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new UsageError(`cannot read ${file} (${errorCode(error)}): check its permissions`);
  }
  throw new UsageError(`cannot read ${file}: it is no regular file`);
}

/** Says what went wrong and returns the exit code; a fault of our own is thrown on. */
function complain(io: Io, json: boolean, error: unknown): number {
  const known =
    error instanceof OperateError
      ? error
      : error instanceof UsageError
        ? new OperateError(error.message, EXIT.usage, 'usage')
        : null;
  if (known === null) throw error;
  const { message, code, exitCode } = known;
  // Whoever interrupts knows that they did.
  if (code === 'interrupted') return exitCode;
  if (json) io.stdout.write(`${JSON.stringify({ error: code, detail: message })}\n`);
  else io.stderr.write(`muster: ${message}\n`);
  return exitCode;
}
