/**
 * Says which hosts have gone silent. Silence counts only while the control plane was receiving: the clock
 * starts again when this worker takes over, and stands still while the database cannot be asked, since
 * heartbeats cannot be stored then either.
 */
import type { SilentHost } from '../db/housekeeping.ts';
import type { Task, WorkerContext } from './worker.ts';

/** Missed heartbeats that make a host unreachable: one is a lost packet, two a restart. */
const MISSED = 3;
/** Hosts in one input: its row stays below a megabyte, and a dead data centre is told in a few of them. */
const HOSTS_PER_INPUT = 5_000;
/** Looks per heartbeat interval: a host is called unreachable at most a quarter of an interval late. */
const LOOKS = 4;

/** Reachable hosts that were not heard since an instant, the most silent first, so many at most. */
export type SilentSince = (before: string, limit: number) => Promise<readonly SilentHost[]>;

export function liveness(
  context: WorkerContext,
  silentSince: SilentSince,
  heartbeatMs: number,
): Task {
  const { clock } = context;
  const everyMs = heartbeatMs / LOOKS;
  let receivingSince = clock.now();
  let lookedAt = clock.now();
  return {
    name: 'liveness',
    everyMs,
    async run() {
      const now = clock.now();
      // A long gap between looks means that we were frozen, or the database away: nobody was listening.
      if (now - lookedAt > heartbeatMs) receivingSince = now;
      const before = now - MISSED * heartbeatMs;
      if (receivingSince <= before) await tellSilent(context, silentSince, now, before);
      lookedAt = clock.now();
    },
  };
}

async function tellSilent(
  { submit }: WorkerContext,
  silentSince: SilentSince,
  now: number,
  before: number,
): Promise<void> {
  const hosts = await silentSince(new Date(before).toISOString(), HOSTS_PER_INPUT);
  if (hosts.length === 0) return;
  await submit({ kind: 'HostsUnreachable', observedAt: new Date(now).toISOString(), hosts });
}
