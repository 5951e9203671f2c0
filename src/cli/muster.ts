#!/usr/bin/env node
/**
 * `muster COMMAND …`. Commands are imported when called: `muster verify` in a CI job must not load a web
 * server and a database driver first.
 */
import { EXIT, type Io } from './io.ts';

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

function help(): string {
  const rows = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `muster COMMAND [options]\n\n${rows.join('\n')}\n\nmuster COMMAND --help tells more.\n`;
}

async function main([name, ...args]: string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.stdout.write(help());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) {
    io.stderr.write(`muster: there is no command "${name}"\n\n${help()}`);
    return EXIT.usage;
  }
  return (await command.load())(args, io);
}

// exitCode, not exit(): output to a pipe may still be on its way.
process.exitCode = await main(process.argv.slice(2), process);
