/** What others do: an input that nobody can read, a DBA who forgets a transaction, upgrades. */
import type { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';

async function plantPoison(bench: Bench): Promise<void> {
  const { sql } = bench.database;
  await sql`
    INSERT INTO input_queue (kind, hostname, rollout_id, payload, replica)
    VALUES ('AgentEvent', 'host-01', NULL, '{"kind":"AgentEvent","hostname":7}', NULL),
           ('Nonsense', NULL, NULL, '[]', NULL)`;
  bench.planted += 2;
}

const LATE_ROWS = 10;

/**
 * Ids are given in the order of inserting and seen in the order of committing: rows of low ids appear when far higher
 * ones were decided already. Each is poison, so that it can be told whether it was decided: it must be found dead.
 */
async function commitLate(bench: Bench): Promise<void> {
  const { sql } = bench.database;
  for (let i = 0; i < LATE_ROWS; i += 1) {
    await sql.begin(async (late) => {
      await late`INSERT INTO input_queue (kind, payload) VALUES ('Nonsense', '[]')`;
      await bench.load.more(30, 30_000);
    });
    bench.planted += 1;
  }
  await bench.load.more(100, 30_000);
}

/** One process after the other, as an upgrade does. */
export async function restartAll(bench: Bench): Promise<void> {
  for (const member of bench.members) {
    await bench.load.more(100, 30_000);
    await member.signal('SIGTERM');
    member.start();
    await member.untilReady();
  }
}

export const NEIGHBOURS: readonly Fault[] = [
  {
    name: 'poison-input',
    what: 'two inputs that cannot be read lie in the queue',
    limitMs: 2_000,
    run: async (bench) => {
      await plantPoison(bench);
      await bench.load.more(200, 30_000);
    },
  },
  {
    name: 'late-lower-id',
    what: `${LATE_ROWS} inputs appear in the queue after higher ids were decided`,
    limitMs: 2_000,
    run: commitLate,
  },
  {
    name: 'idle-transaction',
    what: 'a DBA leaves a REPEATABLE READ transaction open',
    limitMs: 2_000,
    run: async (bench) => {
      await bench.database.sql.begin('ISOLATION LEVEL REPEATABLE READ', async (sql) => {
        await sql`SELECT count(*) FROM input_queue`;
        await bench.load.more(1_500, 60_000);
      });
    },
  },
  {
    name: 'rolling-restart',
    what: 'SIGTERM of each process in turn, and its return',
    limitMs: 2_000,
    run: restartAll,
  },
];
