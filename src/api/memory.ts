/**
 * The little that a replica remembers of its own doings, so that it never hands an agent a snapshot that is
 * older than what the agent has yet to deliver: events on their way through this process, failed posts
 * (also kept with presence, for the other replicas), and when it last shed anything.
 */
import { writeMisses } from '../db/presence.ts';
import { databaseProblem } from '../db/errors.ts';
import type { ApiDeps } from './deps.ts';

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
  /** An event of the host was answered with other than 2xx. */
  noteMiss(hostname: string): void;
  missedLately(hostname: string): boolean;
  noteShed(): void;
  shedLately(): boolean;
}

export function createMemory(deps: ApiDeps): Memory {
  const { clock } = deps;
  const events = new Map<string, number>();
  const misses = missKeeper(deps);
  let shedAt = Number.NEGATIVE_INFINITY;
  return {
    enter(hostname) {
      events.set(hostname, (events.get(hostname) ?? 0) + 1);
      return () => {
        const left = (events.get(hostname) ?? 1) - 1;
        if (left === 0) events.delete(hostname);
        else events.set(hostname, left);
      };
    },
    inside: (hostname) => events.get(hostname) ?? 0,
    noteMiss: misses.note,
    missedLately: misses.has,
    noteShed() {
      shedAt = clock.monotonic();
    },
    shedLately: () => clock.monotonic() - shedAt < LATELY_MS,
  };
}

interface Misses {
  readonly note: (hostname: string) => void;
  /** Still to be stored, hence not yet visible with presence. */
  readonly has: (hostname: string) => boolean;
}

/** Stores misses soon and together; keeps them until the database has them. */
function missKeeper({ pool, clock, log, replica }: ApiDeps): Misses {
  const unsaved = new Set<string>();
  let saving = false;

  const save = async (): Promise<void> => {
    const hosts = [...unsaved];
    try {
      await pool.run((sql) => writeMisses(sql, replica, hosts));
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
