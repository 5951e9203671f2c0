import { expect, it } from 'vitest';
import { DatabaseClock } from '../../src/db/database-clock.ts';
import { ClockStepError } from '../../src/db/errors.ts';

function start() {
  const own = { at: 1_000, wall: 77 };
  const clock = new DatabaseClock({ now: () => own.wall, monotonic: () => own.at });
  /** An answer that says `serverMs` and took so long. */
  const hear = (serverMs: number, took: number): void => {
    const sentAt = own.at;
    own.at += took;
    clock.hear(serverMs, sentAt);
  };
  return { own, clock, hear };
}

it("goes by the server's time from the first answer on, whatever the process's own clock does", () => {
  const { own, clock, hear } = start();
  expect(clock.now()).toBe(77);
  hear(500_000, 4);
  expect(clock.now()).toBe(500_000);
  own.wall = 9e12;
  own.at += 250.7;
  expect(clock.now()).toBe(500_250);
});

it('is moved by no answer that bears it out, however long it took', () => {
  const { own, clock, hear } = start();
  hear(500_000, 2);
  own.at += 996;
  // Read by the server 600 ms after it was sent, and on the way back for 1,400.
  hear(501_596, 2_000);
  expect(clock.now()).toBe(502_996);
});

it("follows the server's clock as it is put right by a little, in either direction", () => {
  const { clock, hear } = start();
  hear(500_000, 2);
  hear(508_000, 2);
  expect(clock.now()).toBe(508_000);
  hear(500_000, 2);
  expect(clock.now()).toBe(500_002);
});

it.each([2_100, -2_100])('names a step by %d s, and goes by no time beyond it', (seconds) => {
  const { own, clock, hear } = start();
  hear(5_000_000, 2);
  own.at += 998;
  expect(() => {
    hear(5_001_000 + seconds * 1_000, 2);
  }).toThrow(new ClockStepError(seconds));
  expect(clock.now()).toBe(5_001_000);
});

it.each([0, 1_800_000, 3_600_000])(
  'takes an answer that took an hour, read %d ms after it was asked for, for no step',
  (read) => {
    const { clock, hear } = start();
    hear(500_000, 2);
    hear(500_000 + read, 3_600_000);
    expect(clock.now()).toBe(4_100_000);
  },
);
