/** `npm run bench -- NAME [--json] [--rounds N] [--seconds S] …`: one benchmark of this folder. */
import { UsageError } from '../src/cli/io.ts';
import { benchAbuse } from './abuse/abuse.ts';
import { benchCore } from './core.ts';
import { benchE2e } from './e2e/e2e.ts';
import { benchHeartbeats } from './heartbeats.ts';
import { benchLog } from './log.ts';
import { benchPeers } from './peers/peers.ts';
import { benchPolls } from './polls.ts';
import { benchReads } from './reads.ts';
import { benchStreams } from './streams.ts';
import { readOptions, type BenchOptions } from './options.ts';

const ALL = 'api,leader,workers';

const BENCHES: ReadonlyMap<string, (options: BenchOptions) => void | Promise<void>> = new Map([
  ['core', ({ json }) => benchCore(json)],
  ['e2e', (options) => benchE2e(options)],
  ['peers', benchPeers],
  ['polls', benchPolls],
  ['heartbeats', benchHeartbeats],
  ['reads', benchReads],
  ['log', benchLog],
  ['streams', benchStreams],
  ['abuse', benchAbuse],
  ['e2e-split', (options) => benchE2e(options, ['api', 'leader,workers'])],
  ['e2e-replicas', (options) => benchE2e(options, [ALL, ALL])],
]);

const USAGE =
  `usage: npm run bench -- ${[...BENCHES.keys()].join(' | ')} [--json] [--rounds N] [--seconds S] ` +
  '[--only NAME,…] [--vs FOLDER] [--profile FOLDER]';

async function main(args: readonly string[]): Promise<void> {
  const { names, help, ...options } = readOptions(args);
  if (help) {
    console.log(USAGE);
    return;
  }
  const [given, another] = names;
  if (another !== undefined) throw new UsageError(`one benchmark at a time: what is "${another}"?`);
  if (given === undefined) throw new UsageError('no benchmark is named');
  const bench = BENCHES.get(given);
  if (bench === undefined) throw new UsageError(`there is no benchmark "${given}"`);
  await bench(options);
}

// So that what goes with the process (`installation.ts`) goes.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code));

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
