/** `npm run bench -- NAME [--json]`: one benchmark of this folder. */
import { benchCore } from './core.ts';

const BENCHES: ReadonlyMap<string, (json: boolean) => void | Promise<void>> = new Map([
  ['core', benchCore],
]);

const args = process.argv.slice(2);
const bench = BENCHES.get(args[0] ?? '');
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${[...BENCHES.keys()].join(' | ')} [--json]`);
  process.exitCode = 2;
} else await bench(args.includes('--json'));
