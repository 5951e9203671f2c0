/** What a new leader starts from: the derived tables, the log's head and the declarations in force. */
import type { Sql } from '../db/driver.ts';
import type { Session } from '../db/session.ts';
import { logEndProblem } from '../db/standing.ts';
import { inOrder, inTransaction } from '../db/transaction.ts';
import { GENESIS } from '../eventlog/chain.ts';
import { declareContent } from '../eventlog/contents.ts';
import { loadStateAndHead, readCommittedSeq } from '../eventlog/state.ts';
import type { Settings } from '../reducer/settings.ts';
import { restore } from '../reducer/state/rows-io.ts';
import type { FleetState } from '../reducer/state/state.ts';

export interface Loaded {
  readonly state: FleetState;
  /** Hash of the last log row. */
  readonly headHash: Uint8Array;
}

/** Reading the state of a fleet of 100,000 hosts with a few rollouts takes some seconds; over a slow link as long as it takes. */
const LOAD_DEADLINE_MS = 120_000;
/**
 * The server believes itself idle in a transaction once it has handed the last megabytes to its kernel. Nobody waits for this one:
 * it writes nothing, and the next epoch can be taken meanwhile.
 */
const PATIENCE = ['idle_in_transaction_session_timeout', 'statement_timeout'].map(
  (setting) => `SET LOCAL ${setting} = ${String(LOAD_DEADLINE_MS)}`,
);

/**
 * In one snapshot, after the epoch was taken: from then on nobody else writes. Whatever goes wrong rejects;
 * there is no such thing as an empty state by error.
 */
export async function load(writer: Session, settings: Settings): Promise<Loaded> {
  return inTransaction(
    writer,
    async (sql) => {
      const isolation = sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`.execute();
      const patience = sql.unsafe(PATIENCE.join('; ')).execute();
      const [, , loaded] = await inOrder([isolation, patience, loadLeaderState(sql, settings)]);
      return loaded;
    },
    LOAD_DEADLINE_MS,
  );
}

async function loadLeaderState(sql: Sql, settings: Settings): Promise<Loaded> {
  const [{ rows, head }, committed] = await inOrder([loadStateAndHead(sql), readCommittedSeq(sql)]);
  const problem = logEndProblem(head.seq, committed);
  if (problem !== null) throw new Error(problem);
  const state = restore(rows, settings);
  await declareContent(sql, state);
  return { state, headHash: head.hash ?? GENESIS };
}
