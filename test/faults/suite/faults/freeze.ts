/** SIGSTOP and SIGCONT: a leader that is frozen keeps its sockets, and on waking still believes that it leads. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';

/** A frozen leader is replaced within this, by the design. */
const FROZEN_LIMIT_MS = 10_000;
/** Long enough for the woken one to try whatever it was about to do. */
const AWAKE_MS = 1_000;

interface At {
  readonly role: string;
  readonly sql: RegExp;
}

/** Frozen until another leads; then woken: whatever it still writes must not count. */
async function freeze(bench: Bench, at: At | null): Promise<void> {
  const leader = await bench.leader();
  const { epoch } = await bench.epoch();
  if (at === null) await leader.signal('SIGSTOP');
  else {
    const session = await leader.proxy.trap(at.role, at.sql, 'answered');
    await leader.signal('SIGSTOP');
    session.release();
  }
  await bench.untilEpochAbove(epoch);
  await leader.signal('SIGCONT');
  await delay(AWAKE_MS);
}

export const FREEZES: readonly Fault[] = [
  {
    name: 'freeze-leader',
    what: 'SIGSTOP of the leader until another leads, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    run: (bench) => freeze(bench, null),
  },
  {
    name: 'freeze-mid-transaction',
    what: 'SIGSTOP of the leader with log rows written and not committed, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    short: true,
    run: (bench) => freeze(bench, { role: 'writer', sql: /INSERT INTO event_log/ }),
  },
  {
    name: 'freeze-mid-batch',
    what: 'SIGSTOP of the leader with a batch claimed and not yet decided, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    run: (bench) => freeze(bench, { role: 'leader', sql: /FROM input_queue WHERE NOT/ }),
  },
];
