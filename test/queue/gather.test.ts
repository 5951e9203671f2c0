import { expect, it } from 'vitest';
import { DeadlineError } from '../../src/db/deadline.ts';
import { createGatherer } from '../../src/queue/gather.ts';

/** A writer that waits to be let on, and remembers its batches. */
function gated(): {
  write: (items: readonly string[]) => Promise<string[]>;
  readonly batches: (readonly string[])[];
  open(): void;
} {
  const batches: (readonly string[])[] = [];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const write = async (items: readonly string[]): Promise<string[]> => {
    batches.push(items);
    await gate;
    return items.map((item) => item.toUpperCase());
  };
  return { write, batches, open };
}

const limits = (items: number, size: number) => ({
  items,
  size,
  sizeOf: (item: string) => item.length,
});

it('gathers while one statement is in flight, and answers each its own', async () => {
  const { write, batches, open } = gated();
  const gatherer = createGatherer(limits(100, 1_000), write);
  const first = gatherer.add('a');
  await new Promise(setImmediate);
  const rest = [gatherer.add('b'), gatherer.add('c')];
  expect(gatherer.held).toBe(3);
  open();
  expect(await Promise.all([first, ...rest])).toEqual(['A', 'B', 'C']);
  expect(batches).toEqual([['a'], ['b', 'c']]);
  await gatherer.idle();
  expect([gatherer.held, gatherer.heldSize]).toEqual([0, 0]);
});

it('cuts statements by items and by size, and lets one large item through', async () => {
  const { write, batches, open } = gated();
  const gatherer = createGatherer(limits(2, 6), write);
  const all = ['aa', 'bb', 'cc', 'ddddddddd', 'e', 'fffff', 'g'].map((item) => gatherer.add(item));
  open();
  await Promise.all(all);
  expect(batches).toEqual([['aa', 'bb'], ['cc'], ['ddddddddd'], ['e', 'fffff'], ['g']]);
});

it('fails those who gathered behind a statement that was never answered, and takes the next', async () => {
  const { write, batches, open } = gated();
  let silent = true;
  const gatherer = createGatherer(limits(2, 1_000), async (items) => {
    const answer = await write(items);
    if (silent) throw new DeadlineError('no answer');
    return answer;
  });
  const first = gatherer.add('a');
  await new Promise(setImmediate);
  const all = Promise.allSettled([first, ...['b', 'c', 'd'].map((item) => gatherer.add(item))]);
  open();
  expect((await all).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
  expect(batches).toEqual([['a']]);
  await gatherer.idle();
  expect([gatherer.held, gatherer.heldSize]).toEqual([0, 0]);
  silent = false;
  expect(await gatherer.add('e')).toBe('E');
});
