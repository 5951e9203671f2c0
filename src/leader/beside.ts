/**
 * The connections of a term beside its writer: two of them, so that a claim does not wait for what is done beside the work.
 *
 * Failure behaviour: where no further connection is to be had, what one cannot run the other does, later. A term that ended
 * for want of one would let go those that it has; somebody else takes them, and nobody leads.
 */
import { createPool, type Pool } from '../db/pool.ts';
import type { DatabaseOptions } from '../db/driver.ts';
import { isOutOfConnections } from '../db/errors.ts';

/** Claims are small and indexed; a slow one means a sick database. */
const STATEMENT_MS = 5_000;

/** What is run may be run again from its beginning. */
export function openBeside(database: DatabaseOptions): Pool {
  const first = openOne(database);
  const second = openOne(database);
  return {
    get unconfirmed() {
      return first.unconfirmed + second.unconfirmed;
    },
    async run(statements) {
      const [idle, other] = second.busy < first.busy ? [second, first] : [first, second];
      try {
        return await idle.run(statements);
      } catch (error) {
        if (!isOutOfConnections(error)) throw error;
        return await other.run(statements);
      }
    },
    async end() {
      await Promise.all([first.end(), second.end()]);
    },
  };
}

/** Whoever comes while it is busy waits. */
interface One extends Pool {
  readonly busy: number;
}

/** A pool of more would have a statement open another connection, and fail with it, while one is there. */
function openOne(database: DatabaseOptions): One {
  const pool = createPool(database, { role: 'leader', max: 1, statementMs: STATEMENT_MS });
  let busy = 0;
  return {
    get busy() {
      return busy;
    },
    get unconfirmed() {
      return pool.unconfirmed;
    },
    async run(statements) {
      busy += 1;
      try {
        return await pool.run(statements);
      } finally {
        busy -= 1;
      }
    },
    end: () => pool.end(),
  };
}
