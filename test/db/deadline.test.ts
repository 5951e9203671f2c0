/** What waits for an answer that may be long on its way, and does not wait for ever. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DeadlineError, within } from '../../src/db/deadline.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = new Promise<never>(() => undefined);

it('is over when its time is, and says so before it rejects', async () => {
  const onLate = vi.fn();
  const late = expect(within(never, 1_000, onLate)).rejects.toThrow(DeadlineError);
  await vi.advanceTimersByTimeAsync(999);
  expect(onLate).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(onLate).toHaveBeenCalledOnce();
  await late;
});

it('is over later when more was sent meanwhile, and only then', async () => {
  const onLate = vi.fn();
  let ms = 1_000;
  const late = expect(within(never, () => ms, onLate)).rejects.toThrow('within 3000 ms');
  await vi.advanceTimersByTimeAsync(500);
  ms = 3_000;
  await vi.advanceTimersByTimeAsync(2_499);
  expect(onLate).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(onLate).toHaveBeenCalledOnce();
  await late;
});

it('leaves no timer behind an answer', async () => {
  expect(await within(Promise.resolve('here'), 1_000, () => undefined)).toBe('here');
  expect(vi.getTimerCount()).toBe(0);
});
