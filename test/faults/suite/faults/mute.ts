/** The server's queue of notifications is full, so that nothing commits that notifies, and then whoever holds it goes. */
import { setTimeout as delay } from 'node:timers/promises';
import { mute, SMALL_QUEUE } from '../../support/mute.ts';
import { Bench, type BenchOptions } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';
import { count } from '../load/history.ts';

const ROUNDS = 3;
/** So many answers that were no 2xx show that nothing was taken. */
const REFUSED = 60;
const REFUSED_WITHIN_MS = 30_000;

const start = (options: BenchOptions): Promise<Bench> =>
  // The DBA of other benches stays in a transaction, too, but does not listen.
  Bench.start({ ...options, postgres: SMALL_QUEUE });

async function untilRefused({ load: { history } }: Bench): Promise<void> {
  const first = history.attempts.length;
  const until = performance.now() + REFUSED_WITHIN_MS;
  for (;;) {
    const { failed, unknown } = count(history.attempts.slice(first));
    if (failed + unknown >= REFUSED) return;
    if (performance.now() > until) throw new Error('the full queue was not noticed');
    await delay(20);
  }
}

export const MUTE: readonly Fault[] = [
  {
    name: 'notifications-full',
    what: `a listener in a transaction holds the full queue of notifications until ${REFUSED} requests have failed, ${ROUNDS} times`,
    limitMs: 15_000,
    start,
    run: async (bench) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const held = await mute(bench.database);
        try {
          await untilRefused(bench);
        } finally {
          await held.release();
        }
        await bench.load.more(200, 30_000);
      }
    },
  },
];
