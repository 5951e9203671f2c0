/**
 * Logs of formats that were written once, and the states that they fold to. They must fold so for ever: a file
 * in test/golden is added with a format and never changed. UPDATE_GOLDEN=1 adds those that are missing.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { chainEntries } from '../../src/eventlog/append.ts';
import { readArchive, writeArchive } from '../../src/eventlog/archive.ts';
import { GENESIS } from '../../src/eventlog/chain.ts';
import { replay } from '../../src/eventlog/replay.ts';
import type { StoredRow } from '../../src/eventlog/stored.ts';
import { dump } from '../../src/reducer/state/rows-io.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { Script } from '../reducer/support/script.ts';

const GOLDEN = path.join(import.meta.dirname, '../golden');
const SCENARIOS = path.join(import.meta.dirname, '../reducer/scenarios');
/** Chosen so that every kind of row and of change is among them. */
const MADE_FROM = ['03-waves', '05-rollback-quarantine', '13-recovery', '34-budget-shared'].concat([
  '38-compliance',
  '41-stale-and-rejected',
  '44-retention',
  '45-takeover',
  '49-clear',
  '71-enrolment',
  '72-since-when',
]);

if (process.env['UPDATE_GOLDEN'] === '1') {
  for (const name of MADE_FROM) {
    const file = path.join(GOLDEN, `format-2-${name}.jsonl.gz`);
    if (!existsSync(file)) await make(path.join(SCENARIOS, `${name}.txt`), file);
  }
}

async function make(scenario: string, file: string): Promise<void> {
  const script = new Script();
  const text = readFileSync(scenario, 'utf8').split('lose-database')[0] ?? '';
  for (const line of text.split('\n')) {
    if (line.trim() !== '' && !/^( {4}|#)/.test(line)) script.run(line.trim());
  }
  let hash: Uint8Array = GENESIS;
  const rows: StoredRow[] = script.trace.flatMap(({ now, entries }) => {
    const made = chainEntries(entries, timeOf(now), 1, hash);
    hash = made.at(-1)?.hash ?? hash;
    return made;
  });
  await writeArchive(file, pages(rows));
  writeFileSync(stateOf(file), `${JSON.stringify(dump(script.state))}\n`);
}

async function* pages(rows: StoredRow[]): AsyncGenerator<StoredRow[]> {
  yield await Promise.resolve(rows);
}

function stateOf(file: string): string {
  return file.replace('.jsonl.gz', '.state.json');
}

type Kept = Readonly<
  Record<'channels' | 'records' | 'rollouts' | 'blockers', readonly object[]>
> & {
  readonly fleet: object;
};

/** With what is younger than a file: kinds of rows, of which it holds none, and fields, which are null in it. */
function withYounger(state: Kept) {
  return {
    ...{ tokens: [], enrolments: [] },
    ...state,
    fleet: { rejections: null, listeningSince: null, deafSince: null, ...state.fleet },
    channels: state.channels.map((row) => ({ undeclaredAt: null, ...row })),
    records: state.records.map((row) => ({ policyAtDispatch: null, ...row })),
    rollouts: state.rollouts.map((row) => ({ blockersSince: null, ...row })),
    blockers: state.blockers.map((row) => ({ earlier: null, ...row })),
  };
}

it.each(readdirSync(GOLDEN).filter((name) => name.endsWith('.jsonl.gz')))(
  '%s folds as it did',
  async (name) => {
    const file = path.join(GOLDEN, name);
    const found = await replay(readArchive(file), { from: null, fold: true });
    expect([found.missing, found.brokenAt]).toEqual([null, null]);
    expect(found.rows).toBeGreaterThan(5);
    const state: unknown = JSON.parse(readFileSync(stateOf(file), 'utf8'));
    expect(JSON.parse(JSON.stringify(dump(found.state)))).toEqual(withYounger(state as Kept));
  },
);
