/**
 * Notes with presence that hosts were heard, in gathered statements.
 *
 * Failure behaviour: a heartbeat waits for it briefly and is answered without it. A 200 promises nothing of presence, while
 * an agent that gets no answer hangs up and is silent for everyone, for as long as somebody's CREATE INDEX takes.
 */
import { DeadlineError, within } from '../db/deadline.ts';
import { databaseProblem } from '../db/errors.ts';
import { writePresence, type PresenceRow } from '../db/presence.ts';
import type { ApiDeps } from './deps.ts';
import { gather } from './gather.ts';

/** A gathered statement takes milliseconds; and twice this, beside a verdict's wait, is well below an agent's 10 s. */
const PRESENCE_MS = 1_000;

/** Resolves when it is stored; rejects when it is not, or not in time. */
export function presenceKeeper(deps: ApiDeps): (row: PresenceRow) => Promise<true> {
  const { presencePool, metrics, replica, log, clock } = deps;
  const keep = gather<PresenceRow, true>({
    clock,
    onRun: (size) => {
      metrics.observe('muster_api_gathered_rows', { statement: 'presence' }, size);
    },
    run: async (rows) => {
      await presencePool.run((sql) => writePresence(sql, replica, rows));
      return rows.map(() => true as const);
    },
  });
  return async (row) => {
    try {
      return await within(keep(row), PRESENCE_MS, () => undefined);
    } catch (error) {
      const why = error instanceof DeadlineError ? 'late' : 'failed';
      metrics.count('muster_api_presence_missed_total', { why });
      log.warn(
        { problem: databaseProblem(error) },
        'heartbeats are answered although it cannot be stored that hosts were heard',
      );
      throw error;
    }
  };
}
