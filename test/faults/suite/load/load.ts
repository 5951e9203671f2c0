/** All simulated hosts and operators together: brought to their soak once, then on and off as faults come and go. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from './agent-calls.ts';
import { Misfit, Reporter, Waiter } from './bystanders.ts';
import { createCaller } from './http.ts';
import { History } from './history.ts';
import { Operator } from './operator.ts';
import { Stream } from './stream.ts';

export interface Load {
  readonly history: History;
  readonly streams: readonly Stream[];
  /** For others than the load's own; what they are answered is judged with the rest. */
  readonly wire: Wire;
  /** Every host to the newest release; not while the load is on. */
  move(): Promise<void>;
  start(): void;
  /** Every stream finishes what it has begun. False: somebody repeated what was never taken, and nobody repeats anything now. */
  stop(): Promise<boolean>;
  /** Resolves when so many more events were answered 2xx; rejects when that takes too long. */
  more(acknowledged: number, withinMs: number): Promise<void>;
  /** Resolves when one more request of each kind was; rejects when that takes too long. */
  moreOfEach(withinMs: number): Promise<void>;
  /** Every stream ends where it is, with events unanswered. */
  end(): Promise<void>;
}

export interface LoadOptions {
  /** Hosts of the fleet that poll for their dispatch and never take it up. */
  readonly waiting?: readonly string[];
  /** No reports, commands or polls beside the events: for what does not come back by itself. */
  readonly eventsOnly?: boolean;
  /** After which a sender gives up. */
  readonly timeoutMs?: number;
  /** How long what was begun may take to be taken, once the load is to stop. */
  readonly stopMs?: number;
}

/** A product that is healed takes everything in a moment; one that never does must not hang the run. */
const STOP_WITHIN_MS = 30_000;

/** In no fleet: what they say is logged, and nothing else follows from it. */
const REPORTERS = Array.from({ length: 10 }, (_, i) => `reporter-${i + 1}`);
const MISFITS = REPORTERS.slice(0, 3);
/** Each has the host of the reporter in its place. */
const OPERATORS = ['ada', 'bob', 'cyd'];

interface Runner {
  run(signal: AbortSignal): Promise<void>;
}

/** Everybody but the streams; whoever needs to be known first is. */
async function startOthers(
  wire: Wire,
  waiting: readonly string[],
  end: AbortSignal,
): Promise<readonly Runner[]> {
  const reporters = REPORTERS.map((hostname) => new Reporter(wire, hostname));
  await Promise.all(reporters.map((reporter) => reporter.begin(end)));
  const operators = OPERATORS.map((name, i) => {
    const hostname = REPORTERS[i] ?? '';
    return new Operator({ ...wire, name, hostname, repeats: i > 0, end });
  });
  return [
    ...reporters,
    ...operators,
    ...MISFITS.map((hostname) => new Misfit(wire, hostname)),
    ...waiting.map((hostname) => new Waiter(wire, hostname)),
  ];
}

export async function startLoad(
  port: number,
  hosts: readonly string[],
  { waiting = [], eventsOnly = false, timeoutMs, stopMs = STOP_WITHIN_MS }: LoadOptions = {},
): Promise<Load> {
  const wire = { caller: createCaller(port, timeoutMs), history: new History() };
  const { caller, history } = wire;
  const ending = new AbortController();
  const end = ending.signal;
  const streams = hosts.map(
    (hostname, i) => new Stream({ ...wire, hostname, repeats: i % 2 === 0, end }),
  );
  const move = async (): Promise<void> => {
    await Promise.all(streams.map((stream) => stream.move()));
  };
  await move();
  const others = eventsOnly ? [] : await startOthers(wire, waiting, end);
  let stopping = new AbortController();
  let running: Promise<unknown> | null = null;
  const until = async (isSo: () => boolean, ms: number, lack: () => string): Promise<void> => {
    const late = performance.now() + ms;
    while (!isSo()) {
      if (performance.now() > late) throw new Error(`${lack()} after ${ms} ms`);
      await delay(10);
    }
  };
  return {
    history,
    wire,
    streams,
    move,
    start() {
      if (running !== null) return;
      const { signal } = (stopping = new AbortController());
      running = Promise.all([...streams, ...others].map((one) => one.run(signal)));
    },
    async stop() {
      stopping.abort();
      const patience = setTimeout(() => {
        ending.abort();
      }, stopMs);
      await running;
      clearTimeout(patience);
      running = null;
      return !end.aborted;
    },
    more(acknowledged, withinMs) {
      const wanted = history.ok.event + acknowledged;
      return until(
        () => history.ok.event >= wanted,
        withinMs,
        () => `${wanted - history.ok.event} of ${acknowledged} events still unanswered`,
      );
    },
    moreOfEach(withinMs) {
      const before = { ...history.ok };
      const kinds = (['event', 'misfit', 'heartbeat', 'command', 'poll'] as const).filter(
        () => others.length > 0,
      );
      const lacking = () => kinds.filter((kind) => history.ok[kind] === before[kind]);
      return until(
        () => lacking().length === 0,
        withinMs,
        () => `no ${lacking().join(', ')} answered with a 2xx`,
      );
    },
    async end() {
      stopping.abort();
      ending.abort();
      await running;
      caller.close();
    },
  };
}
