/** One process's share of an installation, over a test database: submitter and, if asked, leaders. */
import { createLeader, type Leader } from '../../src/leader/leader.ts';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { startListener } from '../../src/db/listen.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import type { Term } from '../../src/leader/election.ts';
import { createSubmitter, type Submitter } from '../../src/queue/submitter.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import {
  createMetrics,
  systemClock,
  type Clock,
  type Logger,
  type MetricsRegistry,
} from '../../src/telemetry.ts';

export interface Replica {
  readonly submitter: Submitter;
  readonly pool: Pool;
  /** Starts the leader role; resolves with the first term. */
  lead(): Promise<Term>;
  /** Stops the leader role cleanly. */
  resign(): Promise<void>;
  readonly leader: Leader;
  readonly metrics: MetricsRegistry;
  /** What it logged. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

export const LIMITS = { queueRows: 10_000, queueAgeMs: 60_000, heldRows: 5_000, batchRows: 500 };

export function silentLogger(lines: string[] = []): Logger {
  const write = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = {
    debug: write,
    info: write,
    warn: write,
    error: write,
    child: () => logger,
  };
  return logger;
}

/** Of the last commit, in its term. */
export async function commitNo(pool: Pool): Promise<number> {
  const [row] = await pool.run(
    (sql) => sql<{ n: number }[]>`SELECT commit_no::int AS n FROM leader_progress`,
  );
  return row?.n ?? 0;
}

export function startReplica(
  url: string,
  name: string,
  limits: Partial<typeof LIMITS> = {},
  clock: Clock = systemClock,
): Replica {
  const database: DatabaseOptions = { url, schema: 'muster', name };
  const log: string[] = [];
  const common = {
    logger: silentLogger(log),
    metrics: createMetrics(),
    clock,
    random: () => 0.5,
  };
  const listener = startListener(database, common);
  const pool = createPool(database, { role: 'test', max: 2, statementMs: 10_000 });
  const submitter = createSubmitter({
    ...common,
    database,
    replica: name,
    listener,
    limits: { ...LIMITS, ...limits },
  });
  const begun: ((term: Term) => void)[] = [];
  const leader = createLeader({
    ...common,
    database,
    listener,
    candidate: { holder: name, address: `http://${name}`, version: 'test' },
    settings: DEFAULT_SETTINGS,
    batchRows: limits.batchRows ?? LIMITS.batchRows,
    onTerm: (term) => {
      if (term !== null) for (const tell of begun.splice(0)) tell(term);
    },
  });
  let stopLeading = new AbortController();
  let leading: Promise<void> = Promise.resolve();
  const resign = async (): Promise<void> => {
    stopLeading.abort();
    await leading;
  };
  return {
    submitter,
    pool,
    leader,
    metrics: common.metrics,
    log,
    lead() {
      const first = new Promise<Term>((resolve) => begun.push(resolve));
      stopLeading = new AbortController();
      leading = leader.run(stopLeading.signal);
      return first;
    },
    resign,
    async stop() {
      await submitter.drain();
      await resign();
      await submitter.end();
      await listener.stop();
      await pool.end();
    },
  };
}
