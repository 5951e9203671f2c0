/** An open loop's clock: so many a second, whatever becomes of them. */
import { setTimeout as delay } from 'node:timers/promises';

/** Calls `start` for each of `total`, with the instant it was due at (of `performance.now`), as they fall due. */
export async function pace(
  total: number,
  perSecond: number,
  start: (dueAt: number) => void,
): Promise<void> {
  const began = performance.now();
  for (let made = 0; made < total;) {
    // The first is due at once, and each at its own instant: one interval later it would count as late.
    const due = Math.min(total, 1 + Math.floor(((performance.now() - began) / 1_000) * perSecond));
    for (; made < due; made += 1) start(began + (made / perSecond) * 1_000);
    await delay(1);
  }
}
