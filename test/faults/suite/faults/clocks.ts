/**
 * Clocks of processes that are wrong for a while. Nothing may be left of it: neither may time stand still until they
 * are right, nor may anything be forgotten before its time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Bench } from '../bench/bench.ts';
import type { Fault } from '../fault.ts';
import { heartbeat } from '../load/agent-calls.ts';
import { command, isTaken, type Command } from '../load/operator.ts';
import { restartAll } from './neighbours.ts';

const HOUR_MS = 3_600_000;
/** An Idempotency-Key is kept for seven. */
const FORGETFUL_MS = 8 * 24 * HOUR_MS;
/** A process looks at its clock's file 20 times a second. */
const SEEN_MS = 200;
/** The source is polled once a second, and a dispatch is offered with the next poll. */
const OFFERED_WITHIN_MS = 15_000;
const SWEPT_WITHIN_MS = 15_000;

/** In no release. */
const HOST = 'apart-01';
let commands = 0;

async function report({ load }: Bench): Promise<void> {
  await heartbeat(load.wire, { hostname: HOST, closure: 'old', isNews: true });
}

function nextCommand(verb: Command['verb']): Command {
  commands += 1;
  return { name: 'dan', hostname: HOST, verb, key: `clock-${verb}-${commands}` };
}

/** Until it is decided: who repeats it later is told the same. */
async function give({ load }: Bench, given: Command): Promise<readonly number[]> {
  for (;;) {
    const attempt = await command(load.wire, given);
    if (isTaken(attempt) && attempt.seqs !== null) return attempt.seqs;
    await delay(50);
  }
}

async function shiftAll({ members, load }: Bench, ms: number): Promise<void> {
  for (const member of members) member.shiftClock(ms);
  await delay(SEEN_MS);
  await load.more(100, 30_000);
}

/** Who takes over the work looks at once for what may be forgotten; that process was started meanwhile. */
async function untilSwept({ members }: Bench): Promise<void> {
  const until = performance.now() + SWEPT_WITHIN_MS;
  const ran = /^muster_worker_runs_total\{worker="retention",outcome="ok"\} [1-9]/m;
  for (;;) {
    for (const { port } of members) {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
      if (ran.test(await answer.text())) return;
    }
    if (performance.now() > until) throw new Error('nobody swept what nobody asks for again');
    await delay(50);
  }
}

/** A release that is signed now is good for an hour, by agents' and everybody's right clocks. */
async function mustBeOffered(bench: Bench, when: string): Promise<void> {
  await bench.load.stop();
  await bench.release();
  const late = new AbortController();
  const wait = { signal: late.signal };
  const offered = await Promise.race([
    bench.load.move().then(() => true),
    delay(OFFERED_WITHIN_MS, false, wait).catch(() => true),
  ]);
  late.abort();
  if (!offered) throw new Error(`a release that was signed ${when} is not offered`);
  bench.load.start();
}

async function stepLeader(bench: Bench): Promise<void> {
  const leader = await bench.leader();
  for (const shift of [HOUR_MS, -HOUR_MS]) {
    leader.shiftClock(shift);
    await delay(SEEN_MS);
    await bench.load.more(100, 30_000);
  }
}

async function stepAll(bench: Bench): Promise<void> {
  const held = nextCommand('hold');
  await report(bench);
  const decided = await give(bench, held);
  await give(bench, nextCommand('release'));
  await shiftAll(bench, FORGETFUL_MS);
  await restartAll(bench);
  await untilSwept(bench);
  await mustBeOffered(bench, 'while the clocks were ahead');
  await shiftAll(bench, 0);
  const again = await give(bench, held);
  if (String(again) !== String(decided))
    throw new Error(
      `a repeat under ${held.key} is answered ${again.join()}, not ${decided.join()}`,
    );
  await mustBeOffered(bench, 'after they were');
}

export const CLOCKS: readonly Fault[] = [
  {
    name: 'clock-ahead',
    what: "the leader's clock steps an hour ahead, then an hour back",
    limitMs: 2_000,
    run: stepLeader,
  },
  {
    name: 'clock-steps',
    what: "everybody's clock steps eight days ahead, all are restarted, and it steps back",
    short: true,
    start: (options) => Bench.start({ ...options, withDba: false }),
    run: stepAll,
  },
];
