/** Commands that only look: one session that could not write, open for as long as the question takes. */
import { DEADLINE_IS_OURS, type DatabaseOptions, type Sql } from '../db/driver.ts';
import { openSession } from '../db/session.ts';

/** Catalogs and settings: what takes longer hangs. */
const DEADLINE_MS = 10_000;

/** Before the deadline: the server says that it is a lock. */
const LOOKING = {
  default_transaction_read_only: 'on',
  lock_timeout: '5s',
  ...DEADLINE_IS_OURS,
};

/** `role` names the session in pg_stat_activity. */
export async function askDatabase<T>(
  database: DatabaseOptions,
  role: string,
  ask: (sql: Sql) => Promise<T>,
  settings: Readonly<Record<string, string>> = LOOKING,
): Promise<T> {
  const session = await openSession(database, { role, settings, deadlineMs: DEADLINE_MS });
  try {
    return await session.run(ask);
  } finally {
    await session.end();
  }
}
