/** What a network between a process and its database does. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';

/** A leader behind a cut cable is replaced within this, by the design. */
const CUT_CABLE_LIMIT_MS = 15_000;
/** Seen after some three seconds; whoever is next ends the transaction that it leaves within two. */
const FORGOTTEN_LIMIT_MS = 7_000;
const SLOW_MS = 200;
const SLOW_FOR_MS = 3_000;

const ENQUEUE = /INSERT INTO input_queue/;
/** Enough for requests of every kind to gather behind an insert that is held. */
const GATHER_MS = 700;

/** What gathered behind the first insert is in the second: all of it is refused while every other session is well. */
async function cutEnqueue(bench: Bench): Promise<void> {
  const { proxy } = await bench.follower();
  const first = await proxy.trap('enqueue', ENQUEUE, 'before');
  await delay(GATHER_MS);
  const second = proxy.trap('enqueue', ENQUEUE, 'before');
  first.cut();
  (await second).cut();
}

/** The leader alone loses its database; the other takes over. */
async function loseLeader(bench: Bench, how: (bench: Bench) => Promise<void>): Promise<void> {
  const { epoch } = await bench.epoch();
  await how(bench);
  await bench.untilEpochAbove(epoch);
}

export const NETWORK: readonly Fault[] = [
  {
    name: 'network-slow',
    what: `every byte between the leader and its database is ${SLOW_MS} ms late, both ways`,
    run: async (bench) => {
      (await bench.leader()).proxy.line.delayMs = SLOW_MS;
      await delay(SLOW_FOR_MS);
    },
  },
  {
    name: 'network-reset',
    what: 'all connections between the leader and its database are reset, three times',
    limitMs: 5_000,
    run: async (bench) => {
      for (let round = 0; round < 3; round += 1) {
        (await bench.leader()).proxy.cutAll();
        await bench.load.more(50, 30_000);
      }
    },
  },
  {
    name: 'network-blackhole',
    what: "the leader's connections stop forwarding, nobody is told; new ones are accepted and swallowed",
    limitMs: CUT_CABLE_LIMIT_MS,
    short: true,
    run: (bench) =>
      loseLeader(bench, async () => {
        const { proxy } = await bench.leader();
        proxy.swallow = true;
        proxy.holdAll();
      }),
  },
  {
    name: 'network-half-open',
    what: "the server sees the leader's sessions end; the leader sees nothing",
    limitMs: CUT_CABLE_LIMIT_MS,
    run: (bench) =>
      loseLeader(bench, async () => {
        const { proxy } = await bench.leader();
        proxy.swallow = true;
        for (const session of proxy.sessions) session.cutServerSide();
      }),
  },
  {
    name: 'network-writer-forgotten',
    what: "the leader's writing connection stops forwarding, nobody is told; all others are well, the lock's among them",
    limitMs: FORGOTTEN_LIMIT_MS,
    run: (bench) =>
      loseLeader(bench, async () => {
        const { proxy } = await bench.leader();
        for (const session of proxy.sessions) if (session.role === 'writer') session.hold();
      }),
  },
  {
    name: 'cut-enqueue',
    what: 'the connection that stores inputs breaks before an insert gets out, and before the next that gathered meanwhile',
    limitMs: 5_000,
    run: cutEnqueue,
  },
  {
    name: 'notify-lost',
    what: 'no process hears a notification; polling alone must carry it',
    limitMs: 3_000,
    run: async (bench) => {
      for (const { proxy } of bench.members) proxy.line.dropNotifications = true;
      await bench.load.more(300, 60_000);
    },
  },
];
