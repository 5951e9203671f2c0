/** Strict mode's last demand, which settings cannot show: the login of an API may not write the event log. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { isStrict } from '../config/strict.ts';
import type { Pool } from '../db/pool.ts';
import { mayWriteLog } from '../db/standing.ts';

/** A start waits no longer for a database that does not answer: then it is asked until it does. */
const WITHIN_MS = 2_000;
const AGAIN_MS = 1_000;
const PROBLEM =
  'strict mode: the login of MUSTER_DATABASE_URL may write the event log; give it the role of the API alone (docs/database-roles.md)';

type Looked = Pick<Config, 'strict' | 'devIdentity' | 'roles'>;

/** Why this login will not do; null where it will, or where the database does not say. */
export async function loginProblem(pool: Pool, config: Looked): Promise<string | null> {
  if (!isAsked(config)) return null;
  return (await pool.run(mayWriteLog).catch(() => false)) ? PROBLEM : null;
}

function isAsked(config: Looked): boolean {
  return isStrict(config) && config.roles.includes('api');
}

/** Rejects with the reason where a process must not start. */
export async function refuseLogin(pool: Pool, config: Looked): Promise<void> {
  const none = delay(WITHIN_MS, null, { ref: false });
  const problem = await Promise.race([loginProblem(pool, config), none]);
  if (problem !== null) throw new Error(problem);
}

/** Rejects with the reason once a database that was silent at the start has told of it; else never settles. */
export async function untilUnfit(pool: Pool, config: Looked): Promise<never> {
  const fits = new Promise<never>(() => undefined);
  if (!isAsked(config)) return fits;
  for (;;) {
    const may = await pool.run(mayWriteLog).catch(() => null);
    if (may === true) throw new Error(PROBLEM);
    if (may === false) return fits;
    await delay(AGAIN_MS, null, { ref: false });
  }
}
