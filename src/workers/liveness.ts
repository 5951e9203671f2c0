/**
 * Says which hosts have gone silent. Silence counts only while the control plane was receiving: the clock
 * starts again when this worker takes over, and stands still while nobody can be asked or heartbeats cannot be stored. It is
 * the monotonic one, and when hosts were heard is the database's word: no process's wall clock makes a fleet unreachable.
 *
 * Presence may be lost (`TRUNCATE`, a crash) while this worker goes on. Who has none was not heard since it is missed here,
 * and no longer: a whole fleet whose presence is lost has time to be heard again, and who never is, is told all the same.
 */
import type { SilentHost } from '../db/housekeeping.ts';
import type { Task, WorkerContext } from './worker.ts';

/** Missed heartbeats that make a host unreachable: one is a lost packet, two a restart. */
export const MISSED = 3;
/** Hosts in one input: its row stays below a megabyte, and a dead data centre is told in a few of them. */
const HOSTS_PER_INPUT = 5_000;
/** Looks per heartbeat interval: a host is called unreachable at most a quarter of an interval late. */
const LOOKS = 4;

/**
 * Reachable hosts that were not heard for so long, the most silent first, and then those of whom nothing is known, so many at
 * most. Rejects while heartbeats cannot be stored: then nobody's silence means anything.
 */
export type SilentFor = (silentMs: number, limit: number) => Promise<readonly SilentHost[]>;

export function liveness(context: WorkerContext, silentFor: SilentFor, heartbeatMs: number): Task {
  const { clock } = context;
  const everyMs = heartbeatMs / LOOKS;
  const silentMs = MISSED * heartbeatMs;
  let receivingSince = clock.monotonic();
  let lookedAt = clock.monotonic();
  /** Whose presence is lost, and since which look. */
  let missed: ReadonlyMap<string, number> = new Map();
  return {
    name: 'liveness',
    everyMs,
    async run() {
      const at = clock.now();
      // Also while no silence counts yet: each answer says that heartbeats were stored.
      const hosts = await silentFor(silentMs, HOSTS_PER_INPUT);
      const now = clock.monotonic();
      // A long gap between answers means that we were frozen, or nothing could be stored: nobody was listening.
      if (now - lookedAt > heartbeatMs) receivingSince = now;
      missed = missedSince(hosts, missed, now);
      const silent = hosts.filter(
        ({ hostname }) => now - (missed.get(hostname) ?? -Infinity) >= silentMs,
      );
      if (now - receivingSince >= silentMs) await tellSilent(context, silent, at);
      lookedAt = clock.monotonic();
    },
  };
}

function missedSince(
  hosts: readonly SilentHost[],
  before: ReadonlyMap<string, number>,
  now: number,
): ReadonlyMap<string, number> {
  const lost = hosts.filter(({ lastHeardAt }) => lastHeardAt === null);
  return new Map(lost.map(({ hostname }) => [hostname, before.get(hostname) ?? now]));
}

async function tellSilent(
  { submit }: WorkerContext,
  hosts: readonly SilentHost[],
  at: number,
): Promise<void> {
  if (hosts.length === 0) return;
  const silent = hosts.map(({ hostname, lastHeardAt }) => ({ hostname, lastHeardAt }));
  await submit({ kind: 'HostsUnreachable', observedAt: seenUntil(hosts, at), hosts: silent });
}

/**
 * The reducer leaves out hosts that became reachable after they were seen here, by the leader's clock; so the instant is
 * one of that clock: the last that was seen.
 */
function seenUntil(hosts: readonly SilentHost[], at: number): string {
  const known = hosts.flatMap(({ reachableAt }) => reachableAt ?? []);
  return known.reduce(
    (last, next) => (next > last ? next : last),
    known[0] ?? new Date(at).toISOString(),
  );
}
