/**
 * Ways to break the core on purpose: one textual change each, made in a copy of what was built, on which the
 * simulator must then find a violation. A change that no longer fits its file is an error, so that this list
 * keeps pace with the code. `npm run simulate:mutants [NAME …]`.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

interface Mutant {
  readonly name: string;
  /** Below `src/reducer`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const MUTANTS: readonly Mutant[] = [
  {
    name: 'budgets-without-unacked',
    file: 'state/flight.js',
    from: "return record.state === 'Pending' && record.closed === null && rollout.dispatches.has(hostname);",
    to: 'return false;',
  },
  {
    name: 'advance-on-join',
    file: 'planner/progress.js',
    from: "if (standingOf(pass.state, rollout, wave, pass.now).kind !== 'settled')",
    to: 'if (wave.total > 0 && wave.pending.size === wave.total)',
  },
  {
    name: 'no-probe-reset',
    file: 'host/step.js',
    from: 'currentClosure: event.observedCurrentClosure,\n            probes: null,',
    to: 'currentClosure: event.observedCurrentClosure,',
  },
  {
    name: 'quarantine-ignored',
    file: 'planner/gates/quarantine.js',
    from: "(find(held) === undefined ? OPEN : ['quarantine'])",
    to: '(find(held) === undefined ? OPEN : OPEN)',
  },
  {
    name: 'seq-may-fall',
    file: 'host/step.js',
    from: 'lastEventSeq: event.seq }',
    to: 'lastEventSeq: event.seq - 1 }',
  },
  {
    name: 'change-not-logged',
    file: 'planner/withdraw.js',
    from: "changes: hosts.map((hostname) => ({ t: 'dispatch', rolloutId, hostname, set: { suspended } })),",
    to: 'changes: hosts.flatMap((hostname) => { rollout.dispatches.get(hostname).suspended = suspended; return []; }),',
  },
];

const SEEDS = 2_000;
const BUILT = path.resolve('dist/simulator');

function run({ name, file, from, to }: Mutant): boolean {
  const copy = mkdtempSync(path.join(tmpdir(), 'muster-mutant-'));
  try {
    cpSync(BUILT, copy, { recursive: true });
    writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');
    symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
    const target = path.join(copy, 'src/reducer', file);
    const text = readFileSync(target, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${name} does not fit ${file} exactly once`);
    writeFileSync(
      target,
      text.replace(from, () => to),
    );
    const words = ['--seeds', String(SEEDS), '--json'];
    const main = path.join(copy, 'test/simulator/main.js');
    const { status, stdout } = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
    const seeds = /"seeds":(\d+)/.exec(stdout)?.[1] ?? '?';
    const told =
      stdout
        .split('\n')
        .find((line) => line.startsWith('  '))
        ?.trim() ?? '';
    writeSync(
      1,
      `${name}: ${status === 1 ? `seen in seed ${seeds}: ${told}` : `NOT SEEN in ${seeds} seeds`}\n`,
    );
    return status === 1;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

const wanted = process.argv.slice(2);
const chosen = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const missed = chosen.filter((mutant) => !run(mutant));
process.exitCode = missed.length > 0 || chosen.length === 0 ? 1 : 0;
