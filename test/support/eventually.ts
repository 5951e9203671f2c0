/** `expect.poll` with room for a busy machine: its own second is short when two cores run everything. */
import { expect } from 'vitest';

const OPTIONS = { timeout: 15_000, interval: 20 };

export function eventually<T>(
  read: () => T | Promise<T>,
  options: Partial<typeof OPTIONS> = {},
): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { ...OPTIONS, ...options });
}
