/** What others do: an input that nobody can read, a DBA who forgets a transaction, clocks, upgrades. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';

const HOUR_MS = 3_600_000;

async function plantPoison(bench: Bench): Promise<void> {
  const { sql } = bench.database;
  await sql`
    INSERT INTO input_queue (kind, hostname, rollout_id, payload, replica)
    VALUES ('AgentEvent', 'host-01', NULL, '{"kind":"AgentEvent","hostname":7}', NULL),
           ('Nonsense', NULL, NULL, '[]', NULL)`;
  bench.planted += 2;
}

/** One process after the other, as an upgrade does. */
async function restartAll(bench: Bench): Promise<void> {
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
    name: 'clock-steps',
    what: "the leader's clock steps an hour ahead, then an hour back",
    limitMs: 2_000,
    run: async (bench) => {
      const leader = await bench.leader();
      for (const shift of [HOUR_MS, -HOUR_MS]) {
        leader.shiftClock(shift);
        await delay(1_000);
        await bench.load.more(100, 30_000);
      }
    },
  },
  {
    name: 'rolling-restart',
    what: 'SIGTERM of each process in turn, and its return',
    limitMs: 2_000,
    run: restartAll,
  },
];
