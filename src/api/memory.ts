/**
 * The little that a replica remembers of its own doings, so that it never hands an agent a snapshot that is
 * older than what the agent has yet to deliver: events on their way through this process, failed posts
 * (also kept with presence, for the other replicas), and when it last shed anything.
 */
import { databaseProblem } from '../db/errors.ts';
import type { Clock, Logger } from '../telemetry.ts';

/** As long as presence remembers a failed post: an agent repeats itself every 15 s, so 20 chances. */
const LATELY_MS = 5 * 60_000;
/** Between two attempts to store what the database would not take. */
const RETRY_MS = 5_000;
/** All hosts of a large fleet failing at once; more are remembered by `shedLately` alone. */
const MAX_MISSES = 100_000;

export interface Memory {
  /** An event of the host entered this process; call the result when it has been answered. */
  enter(hostname: string): () => void;
  inside(hostname: string): number;
  /** An event of the host is about to be answered with other than 2xx. */
  noteMiss(hostname: string): void;
  watch(hostname: string): Watch;
  noteShed(): void;
  shedLately(): boolean;
}

/**
 * From before rows are read until the answer made of them: rows cannot tell of what happens meanwhile, and
 * an event that entered and was answered within that time has left no other trace.
 */
export interface Watch {
  /** Something of the host was on its way, or missed, at the beginning or since. */
  readonly touched: boolean;
  end(): void;
}

export interface MemoryParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Stores that a post of these hosts failed; rejects while the database is away. */
  readonly keepMisses: (hostnames: readonly string[]) => Promise<unknown>;
}

export function createMemory(deps: MemoryParts): Memory {
  const { clock } = deps;
  const events = new Map<string, number>();
  const misses = missKeeper(deps);
  const watches = watchKeeper();
  let shedAt = Number.NEGATIVE_INFINITY;
  return {
    enter(hostname) {
      watches.touch(hostname);
      events.set(hostname, (events.get(hostname) ?? 0) + 1);
      return () => {
        const left = (events.get(hostname) ?? 1) - 1;
        if (left === 0) events.delete(hostname);
        else events.set(hostname, left);
      };
    },
    inside: (hostname) => events.get(hostname) ?? 0,
    noteMiss(hostname) {
      watches.touch(hostname);
      misses.note(hostname);
    },
    watch: (hostname) =>
      watches.add(hostname, (events.get(hostname) ?? 0) > 0 || misses.has(hostname)),
    noteShed() {
      shedAt = clock.monotonic();
    },
    shedLately: () => clock.monotonic() - shedAt < LATELY_MS,
  };
}

interface Watches {
  readonly add: (hostname: string, touched: boolean) => Watch;
  readonly touch: (hostname: string) => void;
}

/** One entry for each heartbeat in progress. */
function watchKeeper(): Watches {
  const byHost = new Map<string, Set<{ touched: boolean }>>();
  return {
    add(hostname, touched) {
      const state = { touched };
      const states = byHost.get(hostname) ?? new Set();
      byHost.set(hostname, states.add(state));
      return {
        get touched() {
          return state.touched;
        },
        end() {
          states.delete(state);
          if (states.size === 0 && byHost.get(hostname) === states) byHost.delete(hostname);
        },
      };
    },
    touch(hostname) {
      for (const state of byHost.get(hostname) ?? []) state.touched = true;
    },
  };
}

interface Misses {
  readonly note: (hostname: string) => void;
  /** Still to be stored, hence not yet visible with presence. */
  readonly has: (hostname: string) => boolean;
}

/** Stores misses soon and together; keeps them until the database has them. */
function missKeeper({ clock, log, keepMisses }: MemoryParts): Misses {
  const unsaved = new Set<string>();
  let saving = false;

  const save = async (): Promise<void> => {
    const hosts = [...unsaved];
    try {
      await keepMisses(hosts);
      for (const host of hosts) unsaved.delete(host);
      saving = false;
      if (unsaved.size > 0) start();
    } catch (error) {
      log.debug(
        { problem: databaseProblem(error), hosts: hosts.length },
        'failed posts not stored yet',
      );
      clock.after(RETRY_MS, () => {
        saving = false;
        start();
      });
    }
  };
  const start = (): void => {
    if (saving) return;
    saving = true;
    save().catch(() => undefined); // it handles its own failures
  };
  return {
    note(hostname) {
      if (unsaved.size >= MAX_MISSES) return;
      unsaved.add(hostname);
      start();
    },
    has: (hostname) => unsaved.has(hostname),
  };
}
