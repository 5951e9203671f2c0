/** SIGSTOP and SIGCONT: a leader that is frozen keeps its sockets, and on waking still believes that it leads. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Member } from '../bench/member.ts';
import type { Fault } from '../fault.ts';
import type { Session } from '../wire/session.ts';

/** A frozen leader is replaced within this, by the design. */
const FROZEN_LIMIT_MS = 10_000;
/** Long enough for the woken one to try whatever it was about to do. */
const AWAKE_MS = 1_000;

interface At {
  readonly role: string;
  readonly sql: RegExp;
}

/** Frozen until another leads; then woken: whatever it still writes must not count. `held`: goes on in its sleep. */
async function freeze(bench: Bench, leader: Member, held: Session | null): Promise<void> {
  const { epoch } = await bench.epoch();
  await leader.signal('SIGSTOP');
  held?.release();
  await bench.untilEpochAbove(epoch);
  await leader.signal('SIGCONT');
  await delay(AWAKE_MS);
}

async function freezeAt(bench: Bench, at: At): Promise<void> {
  const leader = await bench.leader();
  await freeze(bench, leader, await leader.proxy.trap(at.role, at.sql, 'answered'));
}

/**
 * Frozen before a statement that its session did not know is executed. No timeout of the server's ends such a
 * transaction: the next leader has to. A session knows its statements soon, so each gets a new writer first.
 */
async function freezeBeforeExecution(bench: Bench): Promise<void> {
  const trapped = bench.members.map(async (member) => ({
    member,
    session: await member.proxy.trap('writer', /DELETE FROM input_queue/, 'described'),
  }));
  for (const trap of trapped) trap.catch(() => undefined); // one of them is never sprung
  await endWriters(bench);
  const { member, session } = await Promise.race(trapped);
  for (const { proxy } of bench.members) proxy.line.traps.clear();
  await freeze(bench, member, session);
}

async function endWriters({ database: { sql } }: Bench): Promise<void> {
  await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%:writer'`;
}

export const FREEZES: readonly Fault[] = [
  {
    name: 'freeze-leader',
    what: 'SIGSTOP of the leader until another leads, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    run: async (bench) => freeze(bench, await bench.leader(), null),
  },
  {
    name: 'freeze-mid-transaction',
    what: 'SIGSTOP of the leader with log rows written and not committed, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    short: true,
    run: (bench) => freezeAt(bench, { role: 'writer', sql: /INSERT INTO event_log/ }),
  },
  {
    name: 'freeze-before-execution',
    what: 'SIGSTOP of the leader in a transaction, before a statement that is new to its session, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    run: freezeBeforeExecution,
  },
  {
    name: 'freeze-mid-batch',
    what: 'SIGSTOP of the leader with a batch claimed and not yet decided, then SIGCONT',
    limitMs: FROZEN_LIMIT_MS,
    run: (bench) => freezeAt(bench, { role: 'leader', sql: /FROM input_queue WHERE id NOT IN/ }),
  },
];
