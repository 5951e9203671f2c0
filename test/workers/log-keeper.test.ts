/** What the worker `log` makes of a snapshot; the log itself is kept in test/eventlog/keep.test.ts. */
import { expect, it } from 'vitest';
import { createMetrics, systemClock } from '../../src/telemetry.ts';
import { logKeeper, type LogParts } from '../../src/workers/log-keeper.ts';
import { silentLogger } from '../support/installation.ts';

async function keepOnce(parts: Partial<LogParts>) {
  const calls: string[] = [];
  const lines: string[] = [];
  const log: LogParts = {
    checkpoint: () => Promise.resolve(null),
    snapshot: () => Promise.resolve(null),
    isDue: () => Promise.resolve(false),
    prove: () => Promise.resolve(null),
    detach: () => Promise.resolve(null),
    unexported: () => Promise.resolve([]),
    export: () => Promise.resolve(''),
    sweep: () => {
      calls.push('sweep');
      return Promise.resolve(0);
    },
    ...parts,
  };
  const context = {
    submit: () => Promise.resolve(),
    log: silentLogger(lines),
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
  };
  const bounds = { checkpointTo: null, keepDays: null, mostBytes: null, exportDir: null };
  await logKeeper(context, { log, everyMs: 1, ...bounds }).run(new AbortController().signal);
  return { calls, lines };
}

it('proves each snapshot that it takes, and says when the tables are not the fold', async () => {
  const asked: number[] = [];
  const snapshot = (rows: number): Promise<number> => {
    asked.push(rows);
    return Promise.resolve(7);
  };
  const prove = (): Promise<string> => Promise.resolve('fleet  opened differs');
  const wrong = await keepOnce({ snapshot, prove });
  expect(wrong.lines).toEqual([
    'the tables are not what the log folds to: see muster replay --verify {"seq":7,"wrong":"fleet  opened differs"}',
  ]);
  const sound = await keepOnce({ snapshot });
  expect([sound.lines, sound.calls, wrong.calls]).toEqual([[], ['sweep'], ['sweep']]);
  expect(asked).toEqual([1_000_000, 1_000_000]);
});

it('proves nothing while no snapshot is wanted', async () => {
  const prove = (): Promise<string> => Promise.reject(new Error('asked'));
  expect(await keepOnce({ prove })).toEqual({ calls: [], lines: [] });
});
