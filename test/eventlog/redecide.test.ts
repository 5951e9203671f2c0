/** Every scenario of the core, decided again from its own log: the log holds all that decisions need. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chainEntries } from '../../src/eventlog/append.ts';
import { GENESIS } from '../../src/eventlog/chain.ts';
import { Redecider, type Redecided } from '../../src/eventlog/redecide.ts';
import { openRow, type StoredRow } from '../../src/eventlog/stored.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { emptyState } from '../../src/reducer/state/state.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { Script } from '../reducer/support/script.ts';
import { asStored } from './support/seed.ts';

const SCENARIOS = path.join(import.meta.dirname, '../reducer/scenarios');

function runScript(name: string): Script {
  const script = new Script();
  for (const line of readFileSync(path.join(SCENARIOS, name), 'utf8').split('\n')) {
    if (line.trim() !== '' && !/^( {4}|#)/.test(line)) script.run(line.trim());
  }
  return script;
}

function rowsOf({ trace }: Script): StoredRow[] {
  let hash: Uint8Array = GENESIS;
  let last = 0;
  return trace.flatMap(({ now, entries }) => {
    last = Math.max(last, now);
    const made = chainEntries(entries, timeOf(last), 1, hash);
    hash = made.at(-1)?.hash ?? hash;
    return made;
  });
}

async function redecide(
  script: Script,
  rows: readonly StoredRow[],
  settings = DEFAULT_SETTINGS,
): Promise<Redecided> {
  const contents = new Map<string, unknown>(
    script.trace.flatMap(({ input }) =>
      input.kind === 'ManifestSetUpdated'
        ? asStored(input.fleet, input.manifests).map(({ hash, content }) => [
            hash,
            JSON.parse(content) as unknown,
          ])
        : [],
    ),
  );
  const redecider = new Redecider(emptyState(settings), (hashes) => {
    const missing = hashes.find((hash) => !contents.has(hash));
    if (missing !== undefined) return Promise.reject(new Error(`no ${missing}`));
    return Promise.resolve((hash: string) => contents.get(hash));
  });
  for (const row of rows) await redecider.take(openRow(row));
  await redecider.end();
  return redecider.result;
}

const names = readdirSync(SCENARIOS).filter(
  (name) => !/^(lose-database|restore)$/m.test(readFileSync(path.join(SCENARIOS, name), 'utf8')),
);

describe('deciding again', () => {
  it.each(names)('finds no difference in %s', async (name) => {
    const script = runScript(name);
    const { inputs, differences, skipped } = await redecide(
      script,
      rowsOf(script),
      script.state.settings,
    );
    expect({ differences, skipped }).toEqual({ differences: [], skipped: [] });
    expect(inputs).toBeGreaterThan(0);
  });

  it('finds a difference where the log says otherwise, and goes on from what the log says', async () => {
    const script = runScript('03-waves.txt');
    const rows = rowsOf(script).map((row) => ({
      ...row,
      payload: row.payload.replace('"action":"QueueDispatch"', '"action":"Other"'),
    }));
    const { differences } = await redecide(script, rows);
    expect(differences.length).toBeGreaterThan(1);
    expect(differences[0]).toMatchObject({
      logged: { kind: 'plan_action', payload: { action: 'Other' } },
      decided: { kind: 'plan_action', payload: { action: 'QueueDispatch' } },
    });
  });

  it('finds none where a term of an older Muster did not name a setting that there is now', async () => {
    const script = runScript('207-nobody-listened.txt');
    const older = rowsOf(script).map((row) => ({
      ...row,
      payload: row.payload.replace(/,"heartbeatSeconds":\d+/, ''),
    }));
    expect(older.map(({ payload }) => payload)).not.toEqual(
      rowsOf(script).map(({ payload }) => payload),
    );
    expect((await redecide(script, older)).differences).toEqual([]);
    const other = older.map((row) => ({
      ...row,
      payload: row.payload.replace('"event":"LeaderStarted"', '"event":"LeaderBegan"'),
    }));
    expect((await redecide(script, other)).differences).toHaveLength(1);
  });

  it('says what it cannot decide for want of an artifact', async () => {
    const script = runScript('01-one-host.txt');
    const redecider = new Redecider(emptyState(), (hashes) =>
      hashes.length === 0 ? Promise.resolve(() => null) : Promise.reject(new Error('gone')),
    );
    for (const row of rowsOf(script)) await redecider.take(openRow(row));
    await redecider.end();
    expect(redecider.result.skipped).toMatchObject([{ why: 'gone' }]);
  });
});
