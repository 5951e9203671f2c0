/** Strict mode's last demand, which settings cannot show: the login of an API may not write the event log. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { isStrict } from '../config/strict.ts';
import type { Pool } from '../db/pool.ts';
import { mayWriteLog } from '../db/standing.ts';

/** A database that does not answer is waited for later, by readiness, which asks the same. */
const WITHIN_MS = 2_000;

type Looked = Pick<Config, 'strict' | 'devIdentity' | 'roles'>;

/** Why this login will not do; null where it will, or where the database does not say. */
export async function loginProblem(pool: Pool, config: Looked): Promise<string | null> {
  if (!isStrict(config) || !config.roles.includes('api')) return null;
  const may = await pool.run(mayWriteLog).catch(() => false);
  return may
    ? 'strict mode: the login of MUSTER_DATABASE_URL may write the event log; give it the role of the API alone (docs/database-roles.md)'
    : null;
}

/** Rejects with the reason where a process must not start. */
export async function refuseLogin(pool: Pool, config: Looked): Promise<void> {
  const none = delay(WITHIN_MS, null, { ref: false });
  const problem = await Promise.race([loginProblem(pool, config), none]);
  if (problem !== null) throw new Error(problem);
}
