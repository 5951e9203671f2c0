/**
 * Ways to break the system on purpose, each of which the simulator must notice. Those of the core are one textual
 * change each, made in a copy of what was built; a change that no longer fits its file is an error, so that this
 * list keeps pace with the code. Those of what surrounds the core are the model's own (`breaks.ts`).
 * `npm run simulate:mutants -- [NAME …]`.
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
import { BREAKS } from './breaks.ts';

interface Change {
  /** Below `src/reducer`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

interface Mutant {
  readonly name: string;
  /** None: the break of this name in the model. */
  readonly change?: Change;
}

const CHANGES: readonly (Change & { readonly name: string })[] = [
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
    name: 'converged-over-failing-probe',
    file: 'host/step.js',
    from: "if (probe.mode === 'enforce' && probe.status !== 'pass')",
    to: 'if (false)',
  },
  {
    name: 'mirror-without-stamps',
    file: 'host/step.js',
    from: 'dispatchAckedAt: event.receivedAt,',
    to: "...(side === 'local' ? { dispatchAckedAt: event.receivedAt } : {}),",
  },
  {
    name: 'change-not-logged',
    file: 'planner/withdraw.js',
    from: "changes: hosts.map((hostname) => ({ t: 'dispatch', rolloutId, hostname, set: { suspended } })),",
    to: 'changes: hosts.flatMap((hostname) => { rollout.dispatches.get(hostname).suspended = suspended; return []; }),',
  },
];

const MUTANTS: readonly Mutant[] = [
  ...Object.keys(BREAKS).map((name) => ({ name })),
  ...CHANGES.map(({ name, ...change }) => ({ name, change })),
];

/** The longest search: most are seen in the first fifty seeds, the rarest in the second hundred. */
const SEEDS = 500;
const BUILT = path.resolve('dist/simulator');

function run({ name, change }: Mutant): boolean {
  const copy = mkdtempSync(path.join(tmpdir(), 'muster-mutant-'));
  try {
    cpSync(BUILT, copy, { recursive: true });
    writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');
    symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
    if (change !== undefined) make(change, path.join(copy, 'src/reducer', change.file));
    const words = [
      '--seeds',
      String(SEEDS),
      '--json',
      '--brief',
      ...(change ? [] : ['--break', name]),
    ];
    const main = path.join(copy, 'test/simulator/main.js');
    const began = performance.now();
    const { status, stdout } = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
    const seconds = ((performance.now() - began) / 1_000).toFixed(0);
    const seeds = /"seeds":(\d+)/.exec(stdout)?.[1] ?? '?';
    const seen = status === 1;
    const verdict = seen
      ? `seen in seed ${seeds}: ${toldOf(stdout)}`
      : `NOT SEEN in ${seeds} seeds`;
    writeSync(1, `${name}: ${verdict} (${seconds} s)\n`);
    return seen;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function make({ file, from, to }: Change, target: string): void {
  const text = readFileSync(target, 'utf8');
  if (text.split(from).length !== 2)
    throw new Error(`a mutant does not fit ${file} exactly once: ${from}`);
  writeFileSync(
    target,
    text.replace(from, () => to),
  );
}

/** The first violation of a report. */
function toldOf(stdout: string): string {
  const line = stdout.split('\n').find((text) => text.startsWith('  '));
  return line?.trim() ?? '';
}

const wanted = process.argv.slice(2);
const known = MUTANTS.map(({ name }) => name);
const strange = wanted.filter((name) => !known.includes(name));
if (strange.length > 0) {
  writeSync(2, `there is no mutant ${strange.join(', ')}; there are ${known.join(', ')}\n`);
  process.exit(2);
}
const chosen = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const missed = chosen.filter((mutant) => !run(mutant));
process.exitCode = missed.length > 0 ? 1 : 0;
