/** The database fails over to a streaming standby; what was acknowledged must survive, or the loss must show. */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { Bench } from '../bench/bench.ts';
import type { Member } from '../bench/member.ts';
import { notOvertaken, readEvents } from '../books.ts';
import type { Fault } from '../fault.ts';
import { keyOf, only, outcomeOf } from '../load/history.ts';
import { untilDrained } from '../run.ts';

/** Promotion, connections made again (backed off while nobody answered), a takeover. */
const FAILOVER_LIMIT_MS = 15_000;
/** How long both primaries live; in it a commit waits this long, so that several callers wait for one. */
const SPLIT_MS = 5_000;
const CANCEL_EVERY_MS = 250;
const SAID_WITHIN_MS = 20_000;
/** What a cluster's manager takes to see that a primary is dead; those who wait for a verdict still do then. */
const DECIDING_MS = 1_000;
/** All of the waits for a verdict end meanwhile, which take 2 s. */
const LEADERLESS_MS = 2_500;
/** Of the hosts that post. */
const WAITING = 12;
/** Every host has posted more than once by then. */
const AFTER_WINDOW = 300;
/** What a silent host lost is asked for by one of its first. */
const HEARTBEATS = 5;

const withStandby = (standby: 'synchronous' | 'asynchronous') => ({
  start: (options: Parameters<typeof Bench.start>[0]) => Bench.start({ ...options, standby }),
});

async function incarnation({ database }: Bench): Promise<string> {
  const [row] = await database.sql<{ is: string }[]>`SELECT incarnation::text AS is FROM epoch`;
  return row?.is ?? '';
}

/** What processes log is not announced. `failure`: what has not happened in time. */
async function untilSo(isSo: () => boolean | Promise<boolean>, failure: string): Promise<void> {
  const until = performance.now() + SAID_WITHIN_MS;
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error(failure);
    await delay(20);
  }
}

/** Some process took over what it recognised as another database. */
function untilSaid(bench: Bench, before: string): Promise<void> {
  return untilSo(async () => {
    const said = bench.members.some(({ log }) => log.includes('another database than before'));
    return said && (await incarnation(bench)) !== before;
  }, 'nobody said that the database is another');
}

async function promote(bench: Bench): Promise<void> {
  await bench.standby.promote();
  await bench.database.moveTo(bench.standby.server);
}

/** How agents are when the primary dies. */
type Agents = 'busy' | 'silent' | 'waiting';

/** The leader hangs. */
async function hang(bench: Bench): Promise<Member> {
  const leader = await bench.leader();
  await leader.signal('SIGSTOP');
  await untilWaiting(bench, 1);
  return leader;
}

async function untilWaiting(bench: Bench, callers: number): Promise<void> {
  await untilSo(
    async () => (await queued(bench)) >= callers,
    'nobody waits for the leader that hangs',
  );
}

async function queued({ database }: Bench): Promise<number> {
  const [row] = await database.sql<{ n: number }[]>`
    SELECT count(*)::int AS n FROM input_queue WHERE kind = 'AgentEvent'`;
  return row?.n ?? 0;
}

/** The primary dies under load, its standby takes its place. Says when it was dead. */
async function failOver(bench: Bench, agents: Agents = 'busy'): Promise<number> {
  const before = await incarnation(bench);
  const { epoch } = await bench.epoch();
  const hung = agents === 'waiting' ? await hang(bench) : null;
  if (hung !== null) await untilWaiting(bench, WAITING);
  await bench.database.kill9();
  const deadAt = performance.now();
  if (hung !== null) {
    await hung.signal('SIGCONT');
    await delay(DECIDING_MS);
  }
  await promote(bench);
  bench.redirect(bench.members, bench.standby.server.port);
  await bench.untilEpochAbove(epoch);
  await untilSaid(bench, before);
  return deadAt;
}

/**
 * Two primaries: the old leader stays with the old one, where commits wait for a standby that has gone, until somebody
 * cancels what hangs. Then they have happened, there and nowhere else.
 */
async function splitBrain(bench: Bench): Promise<void> {
  const before = await incarnation(bench);
  const { epoch } = await bench.epoch();
  const old = await bench.leader();
  const oldPrimary = bench.database.url.href;
  await promote(bench);
  bench.redirect([bench.other(old)], bench.standby.server.port);
  await bench.untilEpochAbove(epoch);
  const cancelled = await cancelWaits(oldPrimary);
  if (cancelled === 0) throw new Error('no commit waited for the standby on the old primary');
  bench.redirect([old], bench.standby.server.port);
  await untilSaid(bench, before);
  bench.notes.push(`${cancelled} commits on the old primary were cancelled while they waited`);
}

/** An impatient DBA, for a while. How many commits waited. */
async function cancelWaits(url: string): Promise<number> {
  const sql = postgres(url, { max: 1 });
  const until = performance.now() + SPLIT_MS;
  let cancelled = 0;
  while (performance.now() < until) {
    const rows = await sql`
      SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
    cancelled += rows.length;
    await delay(CANCEL_EVERY_MS);
  }
  await sql.end();
  return cancelled;
}

/** The standby lags, and the primary dies. */
async function loseWindow(bench: Bench, agents: Agents): Promise<void> {
  const { load, standby } = bench;
  const silent = agents === 'silent';
  const from = performance.now();
  standby.feed.holdAll();
  await load.more(200, 30_000);
  if (silent) await load.stop();
  bench.lossWindow = { from, to: await failOver(bench, agents) };
  await bench.heal();
  if (!silent) await load.more(AFTER_WINDOW, 30_000);
  await load.stop();
  const lost = await missing(bench);
  if (lost.length === 0) throw new Error('nothing was lost: the standby did not lag');
  const { hosts, left, back } = await replayed(bench);
  if (back.length > 0 || (silent && left.length > 0))
    throw new Error(
      `${left.length} events stay lost, of which ${back.length} no later one overtook`,
    );
  bench.notes.push(
    `${lost.length} acknowledged events were lost with the primary; ${hosts} hosts were asked to post again; ${left.length} stay lost, overtaken by a later one`,
  );
  load.start();
}

/**
 * Heartbeats, and what is asked for by their answers. A host with an input in the queue, as one that is heard for the
 * first time since the failover has on a busy machine, is asked at its next.
 */
async function replayed(bench: Bench): Promise<{
  readonly hosts: number;
  readonly left: readonly string[];
  /** Of these, what posting again should have brought back. */
  readonly back: readonly string[];
}> {
  const { streams } = bench.load;
  const asked = new Set<string>();
  for (let heartbeat = 1; ; heartbeat += 1) {
    await Promise.all(
      streams.map(async (stream) => {
        if (await stream.replay()) asked.add(stream.hostname);
      }),
    );
    const left = await missing(bench);
    const back = notOvertaken(left, await readEvents(bench.database.sql));
    if (back.length === 0 || heartbeat === HEARTBEATS) return { hosts: asked.size, left, back };
  }
}

/**
 * The standby lacks what callers stored and nothing of the leader's, so that no count of its has gone back. Their waits end
 * where all that is asked is answered and nobody leads yet.
 */
async function loseWaiting(bench: Bench): Promise<void> {
  const before = await incarnation(bench);
  const { epoch } = await bench.epoch();
  const hung = await hang(bench);
  const from = performance.now();
  bench.standby.feed.holdAll();
  await untilWaiting(bench, (await queued(bench)) + WAITING);
  const waiting = await queued(bench);
  await bench.database.kill9();
  bench.lossWindow = { from, to: performance.now() };
  await hung.signal('SIGCONT');
  await promote(bench);
  const lost = waiting - (await queued(bench));
  if (lost === 0) throw new Error('nothing was lost: the standby did not lag');
  const kept = keepEpoch(bench);
  bench.redirect(bench.members, bench.standby.server.port);
  await kept;
  await bench.untilEpochAbove(epoch);
  await untilSaid(bench, before);
  bench.notes.push(`${lost} events whose callers waited were lost with the primary`);
}

/** Nobody can take over meanwhile. */
async function keepEpoch({ database }: Bench): Promise<void> {
  await database.sql.begin(async (sql) => {
    await sql`SELECT FROM epoch FOR UPDATE`;
    await delay(LEADERLESS_MS);
  });
}

/** Events that were acknowledged, and are not in the log. */
async function missing(bench: Bench): Promise<readonly string[]> {
  const { database, load } = bench;
  await untilDrained(bench); // an event that was answered 202 may wait
  const logged = await readEvents(database.sql);
  const events = only(load.history.attempts, 'event');
  const told = events.filter((one) => outcomeOf(one) === 'ok').map(keyOf);
  return [...new Set(told.filter((key) => !logged.has(key)))];
}

/** The leader's address leads to a standby all of a sudden: it must not stay leader there. */
async function leadFromStandby(bench: Bench): Promise<void> {
  const { epoch } = await bench.epoch();
  const leader = await bench.leader();
  bench.redirect([leader], bench.standby.server.port);
  await bench.untilEpochAbove(epoch);
  await untilSo(() => leader.log.includes('cannot be led from'), 'the standby was not recognised');
  bench.redirect([leader], bench.database.port);
}

/**
 * A name that is behind, or a balancer, leads everybody to the standby for a moment. What was connected there meanwhile is
 * not cut, and takes no writes for as long as it lasts.
 */
async function misleadAll(bench: Bench): Promise<void> {
  const { epoch } = await bench.epoch();
  bench.redirect(bench.members, bench.standby.server.port);
  await untilSo(
    () => bench.members.every(({ log }) => log.includes('"problem":"25006')),
    'somebody did not meet the standby',
  );
  bench.lead(bench.members, bench.database.port);
  await bench.untilEpochAbove(epoch);
}

export const FAILOVER: readonly Fault[] = [
  {
    name: 'promote-synchronous',
    what: 'SIGKILL of the primary under load; its synchronous standby is promoted',
    limitMs: FAILOVER_LIMIT_MS,
    ...withStandby('synchronous'),
    run: async (bench) => {
      await failOver(bench);
    },
  },
  {
    name: 'promote-beside-old-primary',
    what: 'the synchronous standby is promoted while the primary, with the old leader on it and a DBA who cancels what hangs, live on',
    limitMs: FAILOVER_LIMIT_MS,
    ...withStandby('synchronous'),
    run: splitBrain,
  },
  {
    name: 'promote-asynchronous',
    what: 'SIGKILL of the primary under load; the standby that is promoted lacks the last events',
    ...withStandby('asynchronous'),
    run: (bench) => loseWindow(bench, 'busy'),
  },
  {
    name: 'promote-asynchronous-silent',
    what: 'the same, and no agent posts until its next heartbeat, so that what is asked for again heals all of it',
    ...withStandby('asynchronous'),
    run: (bench) => loseWindow(bench, 'silent'),
  },
  {
    name: 'promote-asynchronous-waiting',
    what: 'the same, while most agents wait for verdicts of a leader that hung: what they posted is nowhere, and nobody may be told that it is safe',
    ...withStandby('asynchronous'),
    run: (bench) => loseWindow(bench, 'waiting'),
  },
  {
    name: 'promote-asynchronous-leaderless',
    what: 'the same, and their waits end where the new primary answers and nobody leads it yet',
    ...withStandby('asynchronous'),
    run: loseWaiting,
  },
  {
    name: 'standby-in-place',
    what: "the leader's database address leads to a standby",
    limitMs: 5_000,
    ...withStandby('asynchronous'),
    run: leadFromStandby,
  },
  {
    name: 'standby-for-a-moment',
    what: 'every process is led to a standby, and new connections to the primary again',
    limitMs: 10_000,
    ...withStandby('asynchronous'),
    run: misleadAll,
  },
];
