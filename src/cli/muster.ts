#!/usr/bin/env node
/**
 * `muster COMMAND …`. Commands are imported when called: `muster verify` in a CI job must not load a web
 * server and a database driver first.
 */
import { EXIT, type Io } from './io.ts';
import type { OperatorNoun } from './operate/command.ts';
import { endOnSignals } from './signals.ts';

type Run = (args: string[], io: Io) => Promise<number>;
interface Command {
  summary: string;
  load: () => Promise<Run>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  [
    'serve',
    {
      summary: 'run one process: api, leader, workers, or any of them',
      load: async () => (await import('./serve.ts')).serve,
    },
  ],
  [
    'migrate',
    {
      summary: "bring the database's schema to this version",
      load: async () => (await import('./migrate.ts')).migrate,
    },
  ],
  [
    'doctor',
    {
      summary: 'look for what of a database would break Muster',
      load: async () => (await import('./doctor.ts')).doctor,
    },
  ],
  [
    'restored',
    {
      summary: 'tell an installation that its database came back from a snapshot',
      load: async () => (await import('./restored.ts')).restored,
    },
  ],
  [
    'log',
    {
      summary: 'check the hash chain of the event log',
      load: async () => (await import('./log.ts')).log,
    },
  ],
  [
    'replay',
    {
      summary: 'fold the event log: verify the tables, look back, decide again, rebuild',
      load: async () => (await import('./replay.ts')).replay,
    },
  ],
  [
    'dev',
    {
      summary: 'run a whole installation on this machine, with a simulated fleet',
      load: async () => (await import('./dev.ts')).dev,
    },
  ],
  [
    'keygen',
    {
      summary: 'make a release key and the trust file that names it',
      load: async () => (await import('./keygen.ts')).keygen,
    },
  ],
  [
    'ca',
    {
      summary: 'make an authority for hosts, a root key, and bootstrap tokens',
      load: async () => (await import('./ca.ts')).ca,
    },
  ],
  [
    'sign',
    {
      summary: 'sign artifacts, or a whole release directory',
      load: async () => (await import('./sign.ts')).sign,
    },
  ],
  [
    'verify',
    {
      summary: 'check an artifact as the control plane does',
      load: async () => (await import('./verify.ts')).verify,
    },
  ],
]);

/** Commands for operators are many, and have a list of their own. */
async function nouns(): Promise<readonly OperatorNoun[]> {
  return (await import('./operate/nouns.ts')).NOUNS;
}

async function help(): Promise<string> {
  const row = (name: string, summary: string): string => `  ${name.padEnd(12)}${summary}\n`;
  const own = [...COMMANDS].map(([name, { summary }]) => row(name, summary)).join('');
  const operator = (await nouns()).map(({ noun, about }) => row(noun, about)).join('');
  return `muster COMMAND [options]\n\n${own}\nOperating, over HTTP:\n\n${operator}${row('completion', 'a script for bash, zsh or fish')}\nmuster COMMAND --help tells more; muster --version, which this is.\n`;
}

async function main([name, ...args]: string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.stdout.write(await help());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === '--version') {
    const { version } = await import('./version.ts');
    io.stdout.write(`muster ${version()}\n`);
    return EXIT.ok;
  }
  const command = COMMANDS.get(name);
  if (command !== undefined) return (await command.load())(args, io);
  if (name === 'completion') {
    const { completion } = await import('./operate/completion.ts');
    return completion(args, io, [...COMMANDS.keys(), name]);
  }
  if ((await nouns()).some(({ noun }) => noun === name)) {
    const { operate } = await import('./operate/operate.ts');
    return operate(name)(args, io);
  }
  io.stderr.write(`muster: there is no command "${name}"\n\n${await help()}`);
  return EXIT.usage;
}

// A reader that has seen enough (`| head`) is no failure; a full disk is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.ok);
  process.stderr.write(
    `muster: cannot write to the standard output (${error.code ?? error.message}); what was asked for may have been done\n`,
  );
  process.exit(EXIT.unwritable);
});
// Nobody is left to tell; what is asked for is done all the same.
process.stderr.on('error', () => undefined);
endOnSignals();
// exitCode, not exit(): output to a pipe may still be on its way.
process.exitCode = await main(process.argv.slice(2), process);
