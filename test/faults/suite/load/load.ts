/** All simulated hosts together: brought to their soak once, then on and off as faults come and go. */
import { setTimeout as delay } from 'node:timers/promises';
import { createCaller, type Caller } from './http.ts';
import { History } from './history.ts';
import { Stream } from './stream.ts';

export interface Load {
  readonly history: History;
  readonly streams: readonly Stream[];
  /** Every host to the newest release; not while the load is on. */
  move(): Promise<void>;
  start(): void;
  /** Every stream finishes what it has begun. */
  stop(): Promise<void>;
  /** Resolves when so many more were answered 2xx; rejects when that takes too long. */
  more(acknowledged: number, withinMs: number): Promise<void>;
  /** Every stream ends where it is, with events unanswered. */
  end(): Promise<void>;
}

export async function startLoad(port: number, hosts: readonly string[]): Promise<Load> {
  const caller: Caller = createCaller(port);
  const history = new History();
  const ending = new AbortController();
  const streams = hosts.map(
    (hostname, i) =>
      new Stream({ hostname, repeats: i % 2 === 0, caller, history, end: ending.signal }),
  );
  const move = async (): Promise<void> => {
    await Promise.all(streams.map((stream) => stream.move()));
  };
  await move();
  let stopping = new AbortController();
  let running: Promise<unknown> | null = null;
  return {
    history,
    streams,
    move,
    start() {
      if (running !== null) return;
      const { signal } = (stopping = new AbortController());
      running = Promise.all(streams.map((stream) => stream.run(signal)));
    },
    async stop() {
      stopping.abort();
      await running;
      running = null;
    },
    async more(acknowledged, withinMs) {
      const wanted = history.ok + acknowledged;
      const until = performance.now() + withinMs;
      while (history.ok < wanted) {
        if (performance.now() > until) {
          const lacking = wanted - history.ok;
          throw new Error(
            `${lacking} of ${acknowledged} events still unanswered after ${withinMs} ms`,
          );
        }
        await delay(10);
      }
    },
    async end() {
      stopping.abort();
      ending.abort();
      await running;
      caller.close();
    },
  };
}
