/** PostgreSQL ends sessions, or ends itself, and comes back. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';
import type { StopMode } from '../../../../src/cli/dev/embedded-postgres.ts';

/** Sessions are made again at once; the lock's may have to be waited for. */
const TERMINATED_LIMIT_MS = 5_000;
/** What recovery may add to the time that the database was away. */
const RECOVERY_MS = 10_000;
const AWAY_MS = 2_000;
const SESSION_WITHIN_MS = 10_000;

/** By the role in the application name, as `pg_stat_activity` shows it. A moment ago there may have been none. */
async function terminate(bench: Bench, role: string): Promise<void> {
  const until = performance.now() + SESSION_WITHIN_MS;
  for (;;) {
    const ended = await bench.database.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name LIKE ${`muster-%:${role}`}`;
    if (ended.length > 0) return;
    if (performance.now() > until) throw new Error(`there is no session of the role ${role}`);
    await delay(10);
  }
}

const ROLES = [
  ...['leader-lock', 'writer', 'leader', 'enqueue', 'verdicts', 'api', 'listen'],
  ...['workers-lock', 'workers', 'commands', 'presence'],
];

function terminated(role: string, name = `terminate-${role}`): Fault {
  return {
    name,
    what: `pg_terminate_backend of every session for ${role === '%' ? 'anything' : role}, three times`,
    limitMs: TERMINATED_LIMIT_MS,
    run: async (bench) => {
      for (let round = 0; round < 3; round += 1) {
        await bench.load.more(50, 30_000);
        await terminate(bench, role);
      }
    },
  };
}

async function away(bench: Bench, stop: () => Promise<void>): Promise<void> {
  await stop();
  await delay(AWAY_MS);
  await bench.database.startAgain();
}

function stopped(mode: StopMode, short: boolean): Fault {
  return {
    name: `postgres-${mode}`,
    what: `PostgreSQL is stopped (${mode}) for ${AWAY_MS / 1_000} s and started again`,
    limitMs: AWAY_MS + RECOVERY_MS,
    ...(short ? { short } : {}),
    run: (bench) => away(bench, () => bench.database.stop(mode)),
  };
}

export const DATABASE: readonly Fault[] = [
  ...ROLES.map((role) => terminated(role)),
  terminated('%', 'terminate-all'),
  stopped('fast', false),
  stopped('immediate', true),
];
