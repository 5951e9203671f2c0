/** What the worker `log` makes of a snapshot; the log itself is kept in test/eventlog/keep.test.ts. */
import { expect, it } from 'vitest';
import { createMetrics, systemClock } from '../../src/telemetry.ts';
import { logKeeper, type LogKeeperOptions, type LogParts } from '../../src/workers/log-keeper.ts';
import { silentLogger } from '../support/installation.ts';

function proof(found: Partial<Awaited<ReturnType<LogParts['prove']>>> = {}) {
  return { wrong: null, passedOver: [], notCompared: [], ...found };
}

async function keepOnce(
  parts: Partial<LogParts>,
  { calls = [], ...options }: Partial<LogKeeperOptions> & { readonly calls?: string[] } = {},
) {
  const lines: string[] = [];
  const log: LogParts = {
    checkpoint: () => Promise.resolve(null),
    snapshot: () => Promise.resolve(null),
    isDue: () => Promise.resolve(false),
    prove: () => Promise.resolve(proof()),
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
  await logKeeper(context, { log, everyMs: 1, ...bounds, ...options }).run(
    new AbortController().signal,
  );
  return { calls, lines };
}

it('proves each snapshot that it takes, and says when the tables are not the fold', async () => {
  const asked: number[] = [];
  const snapshot = (rows: number): Promise<number> => {
    asked.push(rows);
    return Promise.resolve(7);
  };
  const prove = () => Promise.resolve(proof({ wrong: 'fleet  opened differs' }));
  const wrong = await keepOnce({ snapshot, prove });
  expect(wrong.lines).toEqual([
    'the tables are not what the log folds to: see muster replay --verify {"seq":7,"wrong":"fleet  opened differs"}',
  ]);
  const sound = await keepOnce({ snapshot });
  expect([sound.lines, sound.calls, wrong.calls]).toEqual([[], ['sweep'], ['sweep']]);
  expect(asked).toEqual([1_000_000, 1_000_000]);
});

it('says which snapshots of another version were no base, and what none could tell', async () => {
  const prove = () => Promise.resolve(proof({ passedOver: [4], notCompared: ['hosts.hold'] }));
  const { lines } = await keepOnce({ snapshot: () => Promise.resolve(7), prove });
  expect(lines).toEqual([
    'snapshots of an older version lack columns of this one: the log was folded from before them {"passedOver":[4]}',
    'the snapshot that the log begins after is of an older version and lacks columns, which were not compared this once {"notCompared":["hosts.hold"]}',
  ]);
});

it('proves nothing while no snapshot is wanted', async () => {
  const prove = () => Promise.reject(new Error('asked'));
  expect(await keepOnce({ prove })).toEqual({ calls: [], lines: [] });
});

it('goes on with the rest where one thing fails, and then tells of it', async () => {
  const calls: string[] = [];
  const fails = (what: string) => () => {
    calls.push(what);
    return Promise.reject(new Error(`no ${what}`));
  };
  const does =
    <T>(what: string, value: T) =>
    () => {
      calls.push(what);
      return Promise.resolve(value);
    };
  let due = 2;
  const parts: Partial<LogParts> = {
    checkpoint: does('checkpoint', { incarnation: 'i', seq: 7, hash: 'h' }),
    snapshot: does('snapshot', null),
    isDue: () => Promise.resolve((due -= 1) >= 0),
    detach: does('detach', 'p0'),
    unexported: fails('export'),
  };
  const options = { calls, checkpointTo: '/nowhere/at/all', mostBytes: 1, exportDir: '/' };
  await expect(keepOnce(parts, options)).rejects.toThrow(
    /took no checkpoint: ENOENT.*nowhere.*; no export$/,
  );
  expect(calls).toEqual('checkpoint snapshot snapshot detach detach sweep export'.split(' '));
});
