/** Who wakes parked polls while somebody is always reading, with a clock and a database of the test's own. */
import { expect, it } from 'vitest';
import { followDispatches } from '../../src/api/follow.ts';
import { Polls } from '../../src/api/polls.ts';
import { createMetrics } from '../../src/telemetry.ts';
import { silentLogger } from '../support/installation.ts';
import { fakeClock } from './support/fakes.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A poll is parked; each read ends when the test says so. */
async function setUp() {
  const clock = fakeClock();
  const parts = { clock, log: silentLogger(), metrics: createMetrics(), random: () => 0 };
  const polls = new Polls({ ...parts, maxParked: 1, offer: () => Promise.resolve(null) });
  await polls.start('web-01', 60_000);
  const asked: number[] = [];
  let announce = (): void => undefined;
  let end: (head: number | Error) => void = () => undefined;
  followDispatches(
    {
      ...parts,
      wake: {
        subscribe(listener) {
          announce = listener;
          return () => undefined;
        },
      },
      since: (seq) => {
        asked.push(seq);
        return new Promise((resolve, reject) => {
          end = (head) => {
            if (head instanceof Error) reject(head);
            else resolve({ head, hosts: [] });
          };
        });
      },
    },
    polls,
  );
  return {
    clock,
    asked,
    announce: () => {
      announce();
    },
    async end(head: number | Error) {
      end(head);
      await settled();
    },
  };
}

it('looks at all dispatches every now and then, though commits come faster than reads end', async () => {
  const { clock, asked, announce, end } = await setUp();
  announce();
  await end(7);
  announce();
  for (let second = 1; second <= 30; second += 1) {
    announce(); // while the read before is under way
    clock.advance(1_000);
    await end(7);
  }
  expect(asked.slice(1).filter((seq) => seq === 0)).toHaveLength(3);
});

it('looks at all of them with the next read when the one that should have failed', async () => {
  const { clock, asked, announce, end } = await setUp();
  announce();
  await end(7);
  clock.advance(10_000);
  await end(new Error('away'));
  announce();
  await end(7);
  announce();
  expect(asked).toEqual([0, 0, 0, 7]);
});
