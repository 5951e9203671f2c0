/** Loggers that do not drown their reader, and timers as long as a soak may be. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sparing, systemClock, type Logger } from '../src/telemetry.ts';
import { fakeClock } from './api/support/fakes.ts';

type Line = readonly [fields: object, message: string];

function recorder(lines: Line[]): Logger {
  const note = (fields: object, message: string): void => {
    lines.push([fields, message]);
  };
  return { debug: note, info: note, warn: note, error: note, child: () => recorder(lines) };
}

describe('a sparing logger', () => {
  it('says a warning that repeats once in 10 s, and how often it was left out', () => {
    const lines: Line[] = [];
    const clock = fakeClock();
    const log = sparing(recorder(lines), clock);
    for (let i = 0; i < 5; i += 1) log.warn({ i }, 'away');
    log.warn({}, 'another');
    expect(lines).toEqual([
      [{ i: 0 }, 'away'],
      [{}, 'another'],
    ]);
    clock.advance(10_000);
    expect(lines.slice(2)).toEqual([[{ i: 4, alike: 4 }, 'away']]);
    log.warn({ i: 9 }, 'away');
    expect(lines.at(-1)).toEqual([{ i: 9 }, 'away']);
  });

  it('leaves all other lines alone', () => {
    const lines: Line[] = [];
    const log = sparing(recorder(lines), fakeClock());
    log.error({}, 'broken');
    log.error({}, 'broken');
    log.child({ room: 1 }).info({}, 'fine');
    expect(lines).toHaveLength(3);
  });
});

describe('a timer of the system’s clock', () => {
  const DAY_MS = 24 * 3_600_000;
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([1, 2 ** 31 - 1, 2 ** 31, 30 * DAY_MS, 365 * DAY_MS])(
    'of %d ms runs its task once, then and no sooner',
    (ms) => {
      const task = vi.fn();
      systemClock.after(ms, task);
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(ms - 1);
      expect(task).toHaveBeenCalledTimes(0);
      vi.advanceTimersByTime(1);
      expect(task).toHaveBeenCalledTimes(1);
      vi.advanceTimersByTime(60 * DAY_MS);
      expect(task).toHaveBeenCalledTimes(1);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it.each([1, 30, 50])(
    'that is called off before, or on its way after %d days, never does',
    (days) => {
      const task = vi.fn();
      const cancel = systemClock.after(60 * DAY_MS, task);
      vi.advanceTimersByTime(days * DAY_MS);
      cancel();
      expect(vi.getTimerCount()).toBe(0);
      vi.advanceTimersByTime(365 * DAY_MS);
      expect(task).not.toHaveBeenCalled();
    },
  );
});
