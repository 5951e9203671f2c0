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
  readonly patience: Patience;
  /** Beside the writer. */
  readonly pool: Pick<Pool, 'run'>;
  readonly logger: Logger;
}

/** Between two looks; commits take milliseconds. Two that see the same silence are needed: in between, what had arrived was read. */
const LOOK_EVERY_MS = 1_000;
/** Before the first look. A term ends some three seconds after the cable was cut under a small batch. */
const LEAST_MS = 2_000;
/** Then a commit's own deadline is over. */
const MOST_MS = 30_000;
/** Some twenty answers from the most to the least. */
const CALMS = 0.9;

/**
 * How long an answer is waited for beyond what its bytes take on the slowest link: the rest of the process sends on the
 * same way. Learned from term to term, as TCP learns when to send again: twice what answers took lately, and twice what was
 * in vain. Else a way that is full would end each term before its first commit.
 */
export class Patience {
  private given = LEAST_MS;

  get ms(): number {
    return this.given;
  }

  heard(afterMs: number): void {
    this.set(Math.max(2 * afterMs, this.given * CALMS));
  }

  lost(): void {
    this.set(2 * this.given);
  }

  private set(ms: number): void {
    this.given = Math.min(MOST_MS, Math.max(LEAST_MS, ms));
  }
}

/** What `work` on the writer comes to; when its answer is lost, the session ends, and with it this rejects. */
export async function whileHeard<T>(work: Promise<T>, parts: HeardParts): Promise<T> {
  const over = new AbortController();
  const late = stopwatch(parts.writer);
  const given = parts.patience.ms;
  const seen = { silent: false };
  void watch(parts, { late, given, seen }, over.signal);
  try {
    const answer = await work;
    // One that took longer because the server worked, or waited for a lock, says nothing of the way.
    parts.patience.heard(late() < given || seen.silent ? late() : 0);
    return answer;
  } finally {
    over.abort();
  }
}

/** Milliseconds until now, but for what takes so long to send: a server that reads what is on its way waits for us, too. */
function stopwatch(writer: Pick<Session, 'sentBytes'>): () => number {
  const [began, sentBefore] = [performance.now(), writer.sentBytes];
  return () => performance.now() - began - sendingMs(writer.sentBytes - sentBefore);
}

interface Wait {
  readonly late: () => number;
  readonly given: number;
  /** Did the server wait for us at a look. */
  readonly seen: { silent: boolean };
}

async function watch(
  { writer, patience, pool, logger }: HeardParts,
  { late, given, seen }: Wait,
  over: AbortSignal,
): Promise<void> {
  const isOver = (): boolean => over.aborted;
  let before: string | null = null;
  for (;;) {
    await pause(LOOK_EVERY_MS, over);
    if (isOver()) return;
    if (late() < given) continue;
    // Where nobody answers here either, the lock's ping ends the term.
    const silent = await pool.run((sql) => silentSince(sql, writer.pid)).catch(() => null);
    if (isOver()) return;
    if (silent !== null && silent === before) {
      logger.warn(
        { pid: writer.pid },
        "the database waits for the leader's next statement, and the leader for its answer: that connection is dead, and the term ends",
      );
      patience.lost();
      writer.drop();
      return;
    }
    seen.silent ||= silent !== null;
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
