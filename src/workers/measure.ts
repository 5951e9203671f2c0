/**
 * Counts the fleet for metrics. Only the process that works does it, so that many replicas do not count the
 * same rows; when it stops working its numbers go, and another process's take their place.
 */
import { countBlockers, countLateSoaks, countRolloutBlockers } from '../db/blocked.ts';
import type { Counts } from '../db/counts.ts';
import { isStranger, lockHolders } from '../db/lock.ts';
import { countHosts, countReachability, countRollouts } from '../db/overview.ts';
import { isDenied } from '../db/errors.ts';
import {
  countPauses,
  readFreshness,
  readHorizon,
  readLogAhead,
  readLongestIdle,
} from '../db/measure.ts';
import { HELD_WARNING, notificationsHeld, oldestInTransaction } from '../db/notifications.ts';
import type { Pool } from '../db/pool.ts';
import { MEASURED, type GaugeName, type Logger, type Metrics } from '../telemetry.ts';
import type { Task, WorkerContext } from './worker.ts';

export interface MeasureOptions {
  readonly pool: Pool;
  /** Minutes: what agents accept at the most. */
  readonly agentFreshnessMinutes: number;
}

/** A quarter of a second of the database's time at 100,000 hosts; alerts wait for minutes. */
const EVERY_MS = 15_000;

export function measure({ metrics, log }: WorkerContext, options: MeasureOptions): Task {
  const { pool, agentFreshnessMinutes } = options;
  const held = watchNotifications(metrics, log, pool);
  return {
    name: 'measure',
    everyMs: EVERY_MS,
    async run() {
      await countFleet(metrics, pool);
      const idle = await pool.run(readLongestIdle);
      metrics.set('muster_rollout_idle_seconds', {}, idle?.seconds ?? 0);
      const fresh = await pool.run((sql) => readFreshness(sql, agentFreshnessMinutes));
      if (fresh === null) metrics.clear('muster_manifest_fresh_seconds');
      else metrics.set('muster_manifest_fresh_seconds', {}, fresh.seconds);
      metrics.set('muster_log_ahead_seconds', {}, await pool.run(readLogAhead));
      const { transactions, seconds } = await pool.run(readHorizon);
      metrics.set('muster_database_oldest_xmin_transactions', {}, transactions);
      metrics.set('muster_database_oldest_transaction_seconds', {}, seconds);
      const isStrange = isStranger((await pool.run(lockHolders)).leader);
      metrics.set('muster_database_lock_strangers', {}, isStrange ? 1 : 0);
      await held();
    },
    stopped() {
      for (const name of MEASURED) metrics.clear(name);
    },
  };
}

/** Says it once when their queue fills up. A login that may not ask has no such number. */
function watchNotifications(metrics: Metrics, log: Logger, pool: Pool): () => Promise<void> {
  let told = false;
  return async () => {
    const share = await pool.run(notificationsHeld).catch((error: unknown) => {
      if (isDenied(error)) return null;
      throw error;
    });
    if (share === null) return;
    metrics.set('muster_database_notifications_held_ratio', {}, share);
    const fills = share >= HELD_WARNING;
    if (fills && !told) {
      const holder = await pool.run(oldestInTransaction);
      log.warn(
        { share, holder },
        'the queue of notifications fills up: a session that listens stays in a transaction; see docs/operations/notifications-held.md',
      );
    }
    told = fills;
  };
}

async function countFleet(metrics: Metrics, pool: Pool): Promise<void> {
  replace(metrics, 'muster_rollouts', await pool.run(countRollouts), (state, n) => {
    metrics.set('muster_rollouts', { state }, n);
  });
  replace(metrics, 'muster_hosts', (await pool.run(countHosts)).states, (state, n) => {
    metrics.set('muster_hosts', { state }, n);
  });
  replace(metrics, 'muster_hosts_heard', await pool.run(countReachability), (reachability, n) => {
    metrics.set('muster_hosts_heard', { reachability }, n);
  });
  replace(metrics, 'muster_hosts_blocked', await pool.run(countBlockers), (gate, n) => {
    metrics.set('muster_hosts_blocked', { gate }, n);
  });
  metrics.set('muster_late_soaks', {}, await pool.run(countLateSoaks));
  replace(metrics, 'muster_rollouts_blocked', await pool.run(countRolloutBlockers), (reason, n) => {
    metrics.set('muster_rollouts_blocked', { reason }, n);
  });
  replace(metrics, 'muster_pauses', { ...(await pool.run(countPauses)) }, (scope, n) => {
    metrics.set('muster_pauses', { scope }, n);
  });
}

/** What is there no more must not stay as it was last counted. */
function replace(
  metrics: Metrics,
  name: GaugeName,
  counts: Counts,
  set: (value: string, n: number) => void,
): void {
  metrics.clear(name);
  for (const [value, n] of Object.entries(counts)) set(value, n);
}
