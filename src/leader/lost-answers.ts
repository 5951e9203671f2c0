/**
 * Notices that the writer's connection alone is dead, as when a firewall forgot it: the server waits for us while we wait
 * for it. The lock has another connection, whose pings are answered; and the deadline of a commit, which may have a rollout
 * of 100,000 hosts to write, would keep everybody waiting for half a minute.
 */
import { ask } from '../db/as-login.ts';
import { pause } from '../db/backoff.ts';
import type { Sql } from '../db/driver.ts';
import type { Pool } from '../db/pool.ts';
import type { Session } from '../db/session.ts';
import { sendingMs } from '../db/slow-link.ts';
import type { Logger } from '../telemetry.ts';

export interface HeardParts {
  readonly writer: Pick<Session, 'pid' | 'drop' | 'sentBytes'>;
  /** Beside the writer. */
  readonly pool: Pick<Pool, 'run'>;
  readonly logger: Logger;
}

/** Between two looks; commits take milliseconds. Two that see the same silence are needed: in between, what had arrived was read. */
const LOOK_EVERY_MS = 1_000;
/** Of what is sent, before the first look. A term ends some three seconds after the cable was cut under a small batch. */
const PATIENCE_MS = 2_000;
/** What `work` on the writer comes to; when its answer is lost, the session ends, and with it this rejects. */
export async function whileHeard<T>(work: Promise<T>, parts: HeardParts): Promise<T> {
  const over = new AbortController();
  void watch(parts, over.signal);
  try {
    return await work;
  } finally {
    over.abort();
  }
}

async function watch({ writer, pool, logger }: HeardParts, over: AbortSignal): Promise<void> {
  const isOver = (): boolean => over.aborted;
  const [began, sentBefore] = [performance.now(), writer.sentBytes];
  const isSoon = (): boolean => {
    // A server that reads a statement which is still on its way waits for us, too.
    return performance.now() - began < PATIENCE_MS + sendingMs(writer.sentBytes - sentBefore);
  };
  let before: string | null = null;
  for (;;) {
    await pause(LOOK_EVERY_MS, over);
    if (isOver()) return;
    if (isSoon()) continue;
    // Where nobody answers here either, the lock's ping ends the term.
    const silent = await pool.run((sql) => silentSince(sql, writer.pid)).catch(() => null);
    if (isOver()) return;
    if (silent !== null && silent === before) {
      logger.warn(
        { pid: writer.pid },
        "the database waits for the leader's next statement, and the leader for its answer: that connection is dead, and the term ends",
      );
      writer.drop();
      return;
    }
    before = silent;
  }
}

/** When the backend began to wait for its client, or that it is gone; null: it works, or waits for a lock, disk or standby. */
async function silentSince(sql: Sql, pid: number): Promise<string | null> {
  const [row] = await ask<{ since: string | null }>(
    sql,
    'login',
    sql`
      SELECT CASE WHEN wait_event = 'ClientRead' THEN state_change::text END AS since
      FROM pg_stat_activity WHERE pid = ${sql.unsafe(String(pid))}`,
  );
  return row === undefined ? 'gone' : row.since;
}
