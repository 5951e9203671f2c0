/** One input that concerns a whole fleet must not keep the event loop: the leader's lock is pinged there. */
import { expect, it } from 'vitest';
import { decideInput, emptyWork, type Desk } from '../../src/leader/work.ts';
import { inTurns, STRETCH_MS, Turns } from '../../src/leader/turns.ts';
import { emptyState } from '../../src/reducer/state/state.ts';
import { ScriptFleet } from '../reducer/support/script-fleet.ts';

const NOW = Date.parse('2026-05-16T00:00:00.000Z');
const HOSTS = Array.from({ length: 12_000 }, (_, i) => `h${String(i).padStart(5, '0')}`);

/** How often others got a turn while this ran. */
async function turnsDuring(act: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await act();
  isOver = true;
  return turns;
}

function busyFor(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

it('opens a rollout of twelve thousand hosts in many turns', async () => {
  const fleet = new ScriptFleet();
  fleet.declare('channel', ['stable']);
  fleet.declare('wave', ['stable', ...HOSTS]);
  const state = emptyState();
  const desk: Desk = {
    ...{ state, epoch: 1, headHash: new Uint8Array(32), poison: new Map(), tickedAt: 0 },
    now: () => NOW,
    monotonic: () => performance.now(),
    observe: () => Promise.resolve({ offers: [], heard: [] }),
    contents: () => Promise.resolve(() => null),
  };
  const work = emptyWork();
  const input = { kind: 'ManifestSetUpdated', ...fleet.content('1', new Map(), NOW) } as const;
  const turns = await turnsDuring(() => decideInput(desk, work, input, 1));
  expect(turns).toBeGreaterThan(1);
  expect(work.rows.map((row) => row.seq)).toEqual(work.entries.map((entry) => entry.seq));
});

it('gives a turn after each stretch, and none to what is done within one', async () => {
  const long = () => {
    const work = (function* () {
      for (let i = 0; i < 5; i += 1) {
        busyFor(STRETCH_MS + 1);
        yield;
      }
      return 'done';
    })();
    return inTurns(work, new Turns(() => performance.now()));
  };
  expect(await turnsDuring(long)).toBeGreaterThanOrEqual(5);
  const short = (function* () {
    yield;
    return 'done';
  })();
  expect(await turnsDuring(() => inTurns(short, new Turns(() => performance.now())))).toBe(0);
});
