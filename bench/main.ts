/** `npm run bench -- NAME [--json] [--rounds N] [--seconds S] …`: one benchmark of this folder. */
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
]);

const { names, ...options } = readOptions(process.argv.slice(2));
const bench = BENCHES.get(names[0] ?? '');
if (bench === undefined) {
  const [given] = names;
  console.error(
    `${given === undefined ? 'no benchmark is named' : `there is no benchmark "${given}"`}\n` +
      `usage: npm run bench -- ${[...BENCHES.keys()].join(' | ')} [--json] [--rounds N] [--seconds S] ` +
      '[--only NAME,…] [--vs FOLDER] [--profile FOLDER]',
  );
  process.exitCode = 2;
} else await bench(options);
