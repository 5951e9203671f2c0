/**
 * How long the processes under test stood ready and got no CPU, as the kernel counts it: what a busy machine adds to an
 * outage, and no doing of theirs. Who waits for a timer, a lock, a socket or a disk is not ready, and counts as slow.
 */
import { readFileSync } from 'node:fs';

export interface Starvation {
  /** Milliseconds of the one that waited most; the times are those of `performance.now()`. */
  between(from: number, to: number): number;
  stop(): void;
}

const SAMPLE_EVERY_MS = 100;

interface Sample {
  readonly at: number;
  /** Milliseconds so far, by process. */
  readonly waited: ReadonlyMap<number, number>;
}

export function watchStarvation(pids: () => readonly number[]): Starvation {
  const samples: Sample[] = [];
  const look = (): void => {
    samples.push({
      at: performance.now(),
      waited: new Map(pids().map((pid) => [pid, waitOf(pid)])),
    });
  };
  look();
  const timer = setInterval(look, SAMPLE_EVERY_MS);
  return {
    between(from, to) {
      const within = samples.filter(({ at }) => at >= from && at <= to);
      const all = new Set(within.flatMap(({ waited }) => [...waited.keys()]));
      return Math.max(0, ...[...all].map((pid) => grown(within, pid)));
    },
    stop() {
      clearInterval(timer);
    },
  };
}

function grown(samples: readonly Sample[], pid: number): number {
  const seen = samples.flatMap(({ waited }) => waited.get(pid) ?? []);
  return (seen.at(-1) ?? 0) - (seen[0] ?? 0);
}

/** The main thread's time on a run queue; 0 where the kernel does not tell, or the process has gone. */
function waitOf(pid: number): number {
  try {
    const [, waited = '0'] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return Number(waited) / 1e6;
  } catch {
    return 0;
  }
}
