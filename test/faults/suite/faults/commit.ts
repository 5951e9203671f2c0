/** A COMMIT of the leader whose answer never comes: did it happen? It must be read back, not guessed or repeated. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Member } from '../bench/member.ts';
import type { Fault } from '../fault.ts';
import type { Moment, Session } from '../wire/session.ts';

const LIMIT_MS = 5_000;
const SAID_WITHIN_MS = 20_000;

/** The leader's log must say what became of the commit. */
async function untilFate(member: Member, fate: 'committed' | 'not committed'): Promise<void> {
  const until = performance.now() + SAID_WITHIN_MS;
  while (!member.log.includes(`"fate":"${fate}"`)) {
    if (performance.now() > until) throw new Error(`nobody read back that it was ${fate}`);
    await delay(20);
  }
}

/**
 * Resolves when it is gone: its COMMIT, let go too early, might still be carried out. By its pid: the server has seen
 * part of the statement already, or not, and shows the session as active or as idle in its transaction.
 */
async function terminate({ database: { sql } }: Bench, { pid }: Session): Promise<void> {
  const ended = await sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ${pid} AND backend_xid IS NOT NULL`;
  if (ended.length === 0) throw new Error('no writer waits for its COMMIT');
  while ((await sql`SELECT FROM pg_stat_activity WHERE pid = ${pid}`).length > 0) await delay(5);
}

async function doubt(
  bench: Bench,
  moment: Moment,
  how: (session: Session) => Promise<void>,
  fate: 'committed' | 'not committed',
): Promise<void> {
  const leader = await bench.leader();
  const session = await leader.proxy.trap('writer', /^COMMIT/, moment);
  await how(session);
  await untilFate(leader, fate);
}

export const COMMITS: readonly Fault[] = [
  {
    name: 'commit-answer-lost',
    what: 'the connection breaks when the server has committed and the leader does not know',
    limitMs: LIMIT_MS,
    run: (bench) =>
      doubt(
        bench,
        'answered',
        (session) => {
          session.cut();
          return Promise.resolve();
        },
        'committed',
      ),
  },
  {
    name: 'commit-terminated',
    what: 'pg_terminate_backend of the writer when its COMMIT is on the way: the answer is 57P01',
    limitMs: LIMIT_MS,
    run: (bench) =>
      doubt(
        bench,
        'before',
        async (session) => {
          await terminate(bench, session);
          session.release();
        },
        'not committed',
      ),
  },
];
